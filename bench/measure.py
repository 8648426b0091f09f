#!/usr/bin/python3
"""The measurement behind bench/RESULTS.md: generator, vigied, PostgreSQL and a real Kafka broker on one machine.

    make bench                     30 s a load
    make bench SECONDS=60          longer
    INDEX=off make bench           open partition without its index

Prints a table in Markdown and leaves every figure in build/bench/result.json. An acknowledged reading is durable and
decided; beside it stands what PostgreSQL alone takes when it is given the same rows by COPY.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tests.harness import base, kafka, pg, vigied  # noqa: E402

BENCH = os.path.join(base.BUILD, "vigie-bench")
DIRECTORY = os.path.join(base.BUILD, "bench")
SECONDS = int(os.environ.get("SECONDS", "30"))
INDEX = os.environ.get("INDEX", "on")
DRAIN_SECONDS = 600


def say(text):
    print(text, flush=True)


def metric(node, name):
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % node.ports["admin"]) as answer:
        text = answer.read().decode()
    return sum(float(value) for value in re.findall(r"^%s(?:\{[^}]*\})? ([0-9.e+-]+)$" % name, text, re.M))


def cpu_seconds(pid):
    """User and system time of a process and its threads."""
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def hours_ago(hours):
    """For the enrolment; the loads measure from now on, so that the presets' versions, in force since their commit, judge."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - hours * 3600))


def enrol(node):
    cohort = os.path.join(DIRECTORY, "cohort.ndjson")
    with open(cohort, "wb") as file:
        subprocess.run([BENCH, "ingest", "--cohort", "--start", hours_ago(24 * 30)], check=True, stdout=file)
    began = time.monotonic()
    node.ctl("import", cohort)
    return time.monotonic() - began


def wait_for_sinks(node):
    began = time.monotonic()
    while metric(node, "vigie_sink_lag_records") > 0:
        if time.monotonic() - began > DRAIN_SECONDS:
            raise base.Failure("the sinks did not catch up within %d s" % DRAIN_SECONDS)
        time.sleep(0.2)
    return time.monotonic() - began


def load(node, name, readings, extra=()):
    """One load; its figures, with what the sinks still had to do at its end."""
    say("%s: %d s ..." % (name, SECONDS))
    path = os.path.join(DIRECTORY, name + ".json")
    before = cpu_seconds(node.child.pid)
    subprocess.run([BENCH, "ingest", "--port", str(node.ports["https"]), "--seconds", str(SECONDS),
                    "--readings", str(readings), "--json", path] + list(extra), check=True)
    cpu = cpu_seconds(node.child.pid) - before
    lag = metric(node, "vigie_sink_lag_seconds")
    drained = wait_for_sinks(node)
    with open(path) as file:
        figures = json.load(file)
    figures.update(vigied_cpu_s=round(cpu, 2), sink_lag_s_at_end=lag, sinks_drained_s=round(drained, 1))
    return figures


def copy_alone(cluster, database):
    """Rows a second of COPY FROM of the rows that are now in vigie.reading, into an empty table of the same shape."""
    rows = cluster.query("SELECT count(*) FROM vigie.reading", database=database)[0][0]
    path = os.path.join(DIRECTORY, "rows.copy")
    with open(path, "wb") as file:
        subprocess.run(["psql", "-X", "-q", "-d", database, "-c", "COPY (TABLE vigie.reading) TO STDOUT (FORMAT binary)"],
                       check=True, stdout=file, env=cluster.environment())
    cluster.psql("CREATE TABLE public.copied (LIKE vigie.reading)", database)
    if INDEX != "off":
        cluster.psql("CREATE INDEX ON public.copied (patient_id, measured_at)", database)
    began = time.monotonic()
    with open(path, "rb") as file:
        subprocess.run(["psql", "-X", "-q", "-d", database, "-c", "COPY public.copied FROM STDIN (FORMAT binary)"],
                       check=True, stdin=file, env=cluster.environment())
    seconds = time.monotonic() - began
    os.remove(path)
    cluster.psql("DROP TABLE public.copied", database)
    return {"rows": rows, "seconds": round(seconds, 2), "rows_per_s": int(rows / seconds)}


def sync_floor():
    """p50 and p99 in ms of fdatasync after a 4 KiB write, where the journal lies."""
    path = os.path.join(DIRECTORY, "sync.probe")
    block, times = b"\0" * 4096, []
    with open(path, "wb", buffering=0) as file:
        file.write(block * 1024)
        os.fsync(file.fileno())
        for i in range(500):
            file.seek(4096 * (i % 1024))
            began = time.perf_counter()
            file.write(block)
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    os.remove(path)
    times.sort()
    return {"p50_ms": round(times[250], 3), "p99_ms": round(times[495], 3)}


def check_stored(cluster, database, acknowledged):
    stored = cluster.query("SELECT count(*) FROM vigie.reading", database=database)[0][0]
    base.equal(stored, acknowledged, "readings stored")
    return stored


def row(name, figures):
    return "| %s | %s | %.1f | %.1f | %.1f | %.1f | %s |" % (
        name, format(figures["readings_per_s"], ","), figures["ack_p50_us"] / 1000, figures["ack_p99_us"] / 1000,
        figures["ack_p999_us"] / 1000, figures["sinks_drained_s"],
        format(int(figures["readings_accepted"] / max(figures["vigied_cpu_s"], 0.01)), ","))


def report(result):
    say("\n| load | readings/s acknowledged | p50 ms | p99 ms | p99.9 ms | sinks level after s | readings per CPU second of vigied |")
    say("|---|---|---|---|---|---|---|")
    for name, figures in result["loads"].items():
        say(row(name, figures))
    say("\nCOPY alone of the same %s rows (index %s): %s rows/s. fdatasync of 4 KiB: p50 %.2f ms, p99 %.2f ms. "
        "Import of 10,000 patients: %.1f s. Episodes published: %d." % (
            format(result["copy"]["rows"], ","), INDEX, format(result["copy"]["rows_per_s"], ","),
            result["sync"]["p50_ms"], result["sync"]["p99_ms"], result["import_s"], result["episodes"]))
    say("Commit %s, %d cores, %d s a load." % (result["commit"], os.cpu_count(), SECONDS))


def measure(cluster, broker):
    broker.create_topic("vigie.alerts")
    cluster.create_database("bench")
    node = vigied.Node(os.path.join(DIRECTORY, "node"), cluster.conninfo("bench"), broker.bootstrap,
                       {"journal": {"segment_size": "64M"}, "postgres": {"index_open_partition": INDEX}})
    node.ctl("db", "migrate")
    node.start()
    try:
        result = {"sync": sync_floor(), "import_s": round(enrol(node), 2), "loads": {}}
        loads = result["loads"]
        loads["50 readings a message"] = load(node, "ingest-50", 50)
        loads["50 a message, CBOR"] = load(node, "ingest-50-cbor", 50, ["--format", "cbor"])
        loads["1 reading a message"] = load(node, "ingest-1", 1)
        half = max(1, loads["50 readings a message"]["requests_per_s"] // 2)
        loads["50 a message, open loop at half of that"] = load(
            node, "ingest-50-half", 50, ["--rate", str(half)])
        accepted = sum(figures["readings_accepted"] for figures in loads.values())
        check_stored(cluster, "bench", accepted)
        result["copy"] = copy_alone(cluster, "bench")
        result["episodes"] = cluster.query("SELECT count(*) FROM vigie.alert", database="bench")[0][0]
        node.stop()
    finally:
        node.kill()
    return result


def main():
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    os.makedirs(DIRECTORY)
    cluster = pg.Cluster(os.path.join(DIRECTORY, "postgresql"), durable=True)
    broker = kafka.Broker(os.path.join(DIRECTORY, "kafka"))
    try:
        cluster.start()
        broker.start()
        result = measure(cluster, broker)
    finally:
        broker.stop()
        cluster.stop()
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], stdout=subprocess.PIPE)
    result["commit"] = commit.stdout.decode().strip() or "unknown"
    with open(os.path.join(DIRECTORY, "result.json"), "w") as file:
        json.dump(result, file, indent=1)
    report(result)


if __name__ == "__main__":
    main()
