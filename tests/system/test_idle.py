"""Nothing spins: a daemon that nobody speaks to sleeps, whatever is away."""
import os
import socket
import time

from tests.harness import base, client as clients, site as sites

PLAIN_ONLY = "a sanitizer's wake-ups are its own"
TOKEN = "token-of-sys-a"
SECONDS = 5
TICK = os.sysconf("SC_CLK_TCK")


def spent(pid):
    """(CPU seconds, {thread: voluntary switches}) of a process so far."""
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rpartition(")")[2].split()
    switches = {}
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, thread)) as file:
            values = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        switches[values["Name"] + "/" + thread] = int(values["voluntary_ctxt_switches"])
    return (int(fields[11]) + int(fields[12])) / TICK, switches


def measure(node):
    pid = base.daemon_pid(node.child)
    before = spent(pid)
    time.sleep(SECONDS)
    after = spent(pid)
    switches = {name: (count - before[1].get(name, 0)) / SECONDS for name, count in after[1].items()}
    return (after[0] - before[0]) / SECONDS, switches


def expect_quiet(node, what):
    cpu, switches = measure(node)
    print("%s: %.2f %% CPU, %d wake-ups a second" % (what, 100 * cpu, sum(switches.values())))
    base.check(cpu < 0.02, what, "CPU", cpu, switches)
    ours = {name: rate for name, rate in switches.items() if not name.startswith("rdk:")}
    base.check(all(rate <= 12 for rate in ours.values()), what, "wake-ups a second", switches)


def test_an_idle_daemon_sleeps():
    with sites.Site("idle") as site:
        rows = sites.organization_rows() + [sites.rule_row(sites.SILENCE), sites.system_row("sys-a", TOKEN)]
        for number in range(200):
            rows += sites.patient_rows("P-%d" % number, device=False)
        site.node.import_rows(rows)
        open_ones = []
        for _ in range(50):
            plain = socket.create_connection(("127.0.0.1", site.node.ports["https"]), timeout=10)
            open_ones.append(clients.trusting(site.node.certificate).wrap_socket(plain, server_hostname="localhost"))
        time.sleep(2)
        expect_quiet(site.node, "Kafka away, 50 connections")
        site.cluster.stop("immediate")
        time.sleep(2)
        expect_quiet(site.node, "PostgreSQL and Kafka away")
        for connection in open_ones:
            connection.close()
