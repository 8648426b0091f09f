#!/usr/bin/python3
"""Many devices, one reading a message: MQTT QoS 1 over TLS beside HTTPS, in turns on one node.

    make bench-device                      CONNECTIONS (5000) for SECONDS (10), twice each
"""
import json
import os
import resource
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tests.harness import base, site  # noqa: E402

BENCH = os.path.join(base.BUILD, "vigie-bench")
CONNECTIONS = os.environ.get("CONNECTIONS", "5000")
SECONDS = os.environ.get("SECONDS", "10")


def allow_descriptors(count):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def load(node, protocol, port):
    """Figures of one load, and what vigied's threads took of the processors for it."""
    before = cpu_seconds(base.daemon_pid(node.child))
    done = subprocess.run([BENCH, "ingest", "--protocol", protocol, "--port", str(node.ports[port]), "--readings", "1",
                           "--connections", CONNECTIONS, "--seconds", SECONDS, "--json", "-"],
                          stdout=subprocess.PIPE, check=True)
    figures = json.loads(done.stdout)
    figures["cpu_s"] = cpu_seconds(base.daemon_pid(node.child)) - before
    return figures


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    allow_descriptors(3 * int(CONNECTIONS) + 1000)
    with site.Site("bench-device", settings={"listen": {"mqtts": "127.0.0.1:0"}}) as one:
        cohort = os.path.join(one.directory, "cohort.ndjson")
        with open(cohort, "wb") as file:
            subprocess.run([BENCH, "ingest", "--cohort", "--start", "2026-10-20T00:00:00Z"], check=True, stdout=file)
        one.node.ctl("import", cohort)
        print("| %s connections, one reading a message | messages/s | p50 ms | p99 ms | messages a CPU second of vigied |"
              % CONNECTIONS)
        print("|---|---|---|---|---|")
        for protocol, port in (("https", "https"), ("mqtt", "mqtts")) * 2:
            figures = load(one.node, protocol, port)
            base.equal(figures["answers_refused"] + figures["connection_errors"], 0, "refused or broken")
            print("| %s | %s | %.0f | %.0f | %s |" % (
                protocol, format(figures["requests_per_s"], ","), figures["ack_p50_us"] / 1000,
                figures["ack_p99_us"] / 1000, format(int(figures["requests"] / max(figures["cpu_s"], 0.01)), ",")),
                flush=True)
    print("load of the machine at the end: %.1f" % os.getloadavg()[0])


if __name__ == "__main__":
    main()
