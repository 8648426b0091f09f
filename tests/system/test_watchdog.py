"""systemd is told that we live only while every thread makes progress. A socket of ours stands for systemd's."""
import functools
import os
import re
import signal
import socket
import subprocess
import threading
import time

from tests.harness import base, site as sites

PLAIN_ONLY = "sanitizers must be preloaded first"
PERIOD = 2.0  # WatchdogSec
THREADS = {"shard-0": "shard-0", "ingest-0": "ingest-0", "loader": "loader-0", "vigie-publish": "publisher-0",
           "registry": "registry-0"}


class Supervisor:
    """Takes what vigied says to $NOTIFY_SOCKET: [(seconds, {"WATCHDOG": "1", "STATUS": ...})]."""

    def __init__(self, path):
        self.path = path
        if os.path.exists(path):
            os.remove(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.messages = []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            lines = self.socket.recv(4096).decode().split("\n")
            self.messages.append((time.monotonic(), dict(line.split("=", 1) for line in lines if "=" in line)))

    def times(self, key, since=0):
        return [at for at, message in list(self.messages) if key in message and at >= since]

    def last(self, key):
        return next((message[key] for _, message in reversed(list(self.messages)) if key in message), None)


def build_freezer():
    path = os.path.join(base.BUILD, "freeze.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", path,
                    os.path.join(base.ROOT, "tests", "harness", "freeze.c"), "-ldl"], check=True, stdin=subprocess.DEVNULL)
    return path


class Place:
    def __init__(self):
        self.site = sites.Site("watchdog", start=False, settings={"node": {"loops": "1", "shards": "1"}})
        node = self.site.node
        self.freeze = os.path.join(node.directory, "freeze")
        os.makedirs(self.freeze)
        self.supervisor = Supervisor(os.path.join(node.directory, "notify"))
        node.environment = {"NOTIFY_SOCKET": self.supervisor.path, "WATCHDOG_USEC": str(int(PERIOD * 1e6)),
                            "VIGIED_FREEZE": self.freeze, "LD_PRELOAD": build_freezer()}
        node.start()

    def stop(self, name):
        with open(os.path.join(self.freeze, name), "w"):
            return time.monotonic()

    def go_on(self, name):
        os.remove(os.path.join(self.freeze, name))

    def log(self):
        with open(self.site.node.log) as file:
            return file.read()

    def wait_fed(self):
        since = time.monotonic()
        base.wait_for("WATCHDOG=1 comes again", lambda: len(self.supervisor.times("WATCHDOG", since)) >= 2, 3 * PERIOD)


@functools.lru_cache(None)
def place():
    return Place()


def tear_down():
    if place.cache_info().currsize:
        place().site.close()


def test_ready_status_and_a_steady_watchdog():
    supervisor = place().supervisor
    base.wait_for("READY=1", lambda: supervisor.times("READY"), 5)
    base.equal(len(supervisor.times("READY")), 1, "READY=1 once")
    base.check("accepting" in supervisor.last("STATUS"), "STATUS", supervisor.last("STATUS"))
    since = time.monotonic()
    time.sleep(1.5 * PERIOD)
    times = [since] + supervisor.times("WATCHDOG", since)
    gaps = [after - before for before, after in zip(times, times[1:])]
    base.check(len(gaps) >= 2 and max(gaps) < PERIOD / 2, "WATCHDOG=1 at least twice a period", gaps)


def freezes(name, thread):
    supervisor, node = place().supervisor, place().site.node
    place().wait_fed()
    at = place().stop(name)
    try:
        told = "thread=%s " % thread
        count = place().log().count(told + "found=")
        base.wait_for("the log names " + thread, lambda: place().log().count(told + "found=") > count, 2 * PERIOD)
        time.sleep(PERIOD / 2)
        fed = [when - at for when in supervisor.times("WATCHDOG", at)]
        # systemd kills WatchdogSec after the last: within twice WatchdogSec of the freeze
        base.check(not fed or max(fed) < PERIOD, "withheld", thread, fed)
        base.check(thread in supervisor.last("STATUS"), "STATUS", supervisor.last("STATUS"))
        answer = node.admin().get("/readyz")
        base.check(answer.status == 503 and thread in answer.body.decode(), "/readyz", answer)
    finally:
        place().go_on(name)
    place().wait_fed()
    base.wait_for("ready again", lambda: node.admin().get("/readyz").status == 200, 5)


def test_a_frozen_thread_is_named_and_withholds():
    for name, thread in THREADS.items():
        freezes(name, thread)


def test_a_slow_sync_is_progress():
    supervisor = place().supervisor
    place().wait_fed()
    at = place().stop("sync")
    time.sleep(2.5 * PERIOD)
    fed = [when - at for when in supervisor.times("WATCHDOG", at)]
    place().go_on("sync")
    gaps = [after - before for before, after in zip([0] + fed, fed)]
    base.check(len(fed) >= 6 and max(gaps) < PERIOD / 2, "fed through a sync of %.0f s" % (2.5 * PERIOD), fed)


def test_sinks_away_are_no_stall():
    """The broker was never there; PostgreSQL goes for three periods."""
    supervisor = place().supervisor
    place().site.cluster.stop("immediate")
    at = time.monotonic()
    time.sleep(3 * PERIOD)
    fed = supervisor.times("WATCHDOG", at)
    place().site.cluster.start()
    base.check(len(fed) >= 8, "fed while PostgreSQL is away", len(fed))
    base.check("PostgreSQL" in supervisor.last("STATUS"), supervisor.last("STATUS"))


def test_the_admin_port_tells_how_far_a_start_is():
    """Recovery waits for its first sync here; admin.sock answers, and nothing that needs a role."""
    node = place().site.node
    node.stop()
    place().stop("sync")
    try:
        node.spawn()
        base.wait_for("admin.sock", lambda: os.path.exists(os.path.join(node.state_dir, "admin.sock")), 10)
        time.sleep(0.2)
        answer = node.control().get("/readyz")
        base.check(answer.status == 503 and "replaying" in answer.body.decode(), "/readyz", answer)
        base.equal(node.control().get("/healthz").status, 200)
        base.equal(node.control().get("/metrics").status, 200)
        base.equal(node.control().get("/v1/test/clock").status, 503)
        base.check(not os.path.exists(os.path.join(node.state_dir, "ports.json")), "ports.json comes at the end")
        base.wait_for("systemd gives time", lambda: "replaying" in (place().supervisor.last("STATUS") or "")
                      and place().supervisor.times("EXTEND_TIMEOUT_USEC"), 5)
    finally:
        place().go_on("sync")
    node.wait_ready()
    base.equal(node.admin().get("/readyz").status, 200)


def test_stopping_is_said():
    place().site.node.child.send_signal(signal.SIGTERM)
    base.wait_for("STOPPING=1", lambda: place().supervisor.times("STOPPING"), 10)
    base.equal(place().site.node.child.wait(30), 0)
    base.check(re.search("draining", place().supervisor.last("STATUS")), "STATUS")
    place().site.node.child = None
