#!/usr/bin/python3
"""The registry at scale: how long an enrolment takes, and how long until a change among many patients is in force.

    make campaign-registry                      100,000 patients, 60 changes each way
    PATIENTS=10000 CHANGES=50 make campaign-registry

A change is in force when a reading is judged by it: each writes a new limit for one patient, then sends readings that
breach the new limit alone until one of them raises, and asks `rules show` beside it, while other connections keep
sending. Prints a table in Markdown and leaves every figure in build/campaign-registry/result.json.
"""
import hashlib
import json
import os
import re
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tests.harness import base, check, pg, site as sites, vigied  # noqa: E402

DIRECTORY = os.path.join(base.BUILD, "campaign-registry")
PATIENTS = int(os.environ.get("PATIENTS") or "100000")
CHANGES = int(os.environ.get("CHANGES") or "60")
TOKEN = "token-of-the-registry-campaign"
SENDERS = 4
RULE = dict(sites.GLUCOSE, id="own.glucose", hysteresis=0)


def say(text):
    print(text, flush=True)


def memory_mb(pid, field="VmRSS"):
    with open("/proc/%d/status" % pid) as file:
        return int(re.search(r"^%s:\s+(\d+)" % field, file.read(), re.M).group(1)) // 1024


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def cohort():
    rows = sites.organization_rows() + [sites.rule_row(sites.SILENCE), sites.rule_row(sites.GLUCOSE),
                                        sites.system_row("sys", TOKEN)]
    for number in range(PATIENTS):
        ref = "P-%d" % number
        rows += sites.patient_rows(ref)
        rows.append({"type": "source", "ref": "S-" + ref, "kind": "device", "devices": ["D-" + ref],
                     "token_sha256": hashlib.sha256(ref.encode()).hexdigest()})
    return rows


class Load(threading.Thread):
    """Messages of 50 patients each, a few a second: readings flow beside the changes."""

    def __init__(self, node, number):
        super().__init__(daemon=True)
        self.node, self.number, self.stopping, self.sent, self.faults = node, number, False, 0, []

    def run(self):
        client, at = self.node.https(TOKEN), self.number
        while not self.stopping:
            now = check.to_text(int(time.time() * 1000))
            body = []
            for _ in range(50):
                at = (at + 7919) % PATIENTS
                body.append(sites.message("P-%d" % at, now, ("29463-7", 70, "kg")))
            answer = client.readings(body)
            if answer.status != 200:
                self.faults.append(repr(answer))
            self.sent += 50
            time.sleep(0.02)
        client.close()


class Probe:
    """One patient's limit, moved again and again."""

    def __init__(self, node, cluster, number):
        self.node, self.cluster, self.ref, self.version = node, cluster, "P-%d" % number, 0
        self.client, self.control = node.https(TOKEN), node.control()

    def rule(self, limit):
        return dict(RULE, levels=[{"priority": "medium", "above": limit}])

    def shown(self, version):
        answer = self.control.get("/v1/rules?patient=" + self.ref)
        return any(rule["id"] == RULE["id"] and rule["version"] == version for rule in answer.json()["rules"])

    def wait(self, version):
        while not self.shown(version):
            time.sleep(0.002)

    def write(self, connection, limit):
        self.version += 1
        with connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO vigie.rule_version (layer, scope, rule_id, version, line, author, role, reason, rule) "
                           "VALUES ('patient', %s, %s, %s, %s, 'Dr Test', 'physician', 'campaign', %s)",
                           (self.ref, RULE["id"], self.version, sites.LINE, json.dumps(self.rule(limit))))

    def by_sql(self, connection, limit):
        self.write(connection, limit)
        began = time.monotonic()
        self.wait(self.version)
        return time.monotonic() - began

    def raised(self):
        return sum(value for name, value in self.node.metrics().items() if name.startswith('vigie_alerts_total{event="raised"'))

    def send(self, value):
        at = check.to_text(int(time.time() * 1000))
        base.equal(self.client.readings(sites.message(self.ref, at, ("2339-0", value, "mg/dL"))).status, 200)

    def judged(self, connection, limit):
        """Until a reading that breaches the new limit alone raises; `limit` falls by one from call to call."""
        before = self.raised()
        self.write(connection, limit)
        began = time.monotonic()
        while self.raised() == before:
            self.send(limit + 0.5)
        took = time.monotonic() - began
        self.send(100)
        return took

    def by_import(self, limit):
        self.version += 1
        row = sites.rule_row(self.rule(limit), patient=self.ref)
        began = time.monotonic()
        answer = self.control.post("/v1/import", json.dumps(row).encode() + b"\n", "application/x-ndjson")
        took = time.monotonic() - began
        base.equal(answer.status, 200, answer)
        base.check(self.shown(self.version), "in force when the import answers")
        return took


def revoke(connection, node):
    """A device's token, in use over a kept connection, taken away by another program."""
    token = node.ctl("token", "issue", "S-P-2").strip()
    client = node.https(token)
    body = sites.message("P-2", check.to_text(int(time.time() * 1000)), ("29463-7", 70, "kg"))
    base.equal(client.readings(body).status, 200)
    with connection, connection.cursor() as cursor:
        cursor.execute("UPDATE vigie.source SET token_sha256 = NULL WHERE ref = 'S-P-2'")
    began = time.monotonic()
    while client.readings(body).status == 200:
        time.sleep(0.002)
    base.equal(client.readings(body).status, 401)
    client.close()
    return time.monotonic() - began


def timed(work, *arguments):
    began = time.monotonic()
    result = work(*arguments)
    return time.monotonic() - began, result


def main():
    import psycopg2
    place = sites.Site("campaign-registry", settings={"journal": {"segment_size": "64M", "low_water": "64M"}})
    node, figures = place.node, {"patients": PATIENTS}
    figures["rss_empty_mb"] = memory_mb(node.child.pid)
    figures["import_s"], _ = timed(node.import_rows, cohort())
    figures["rss_enrolled_mb"] = memory_mb(node.child.pid)
    figures["rss_peak_mb"] = memory_mb(node.child.pid, "VmHWM")
    figures["registry"] = {name[15:]: value for name, value in node.metrics().items() if name.startswith("vigie_registry_")}
    figures["file_mb"] = os.path.getsize(os.path.join(node.state_dir, "registry")) / 1e6
    loads = [Load(node, number) for number in range(SENDERS)]
    for load in loads:
        load.start()
    connection = psycopg2.connect(place.cluster.conninfo("vigie"))
    probe = Probe(node, place.cluster, 1)
    for way in ("sql", "import"):
        took = []
        for number in range(CHANGES):
            limit = 300 + number
            took.append(probe.by_sql(connection, limit) if way == "sql" else probe.by_import(limit))
            time.sleep(0.05)
        figures[way] = {"p50_ms": percentile(took, 0.5) * 1000, "p99_ms": percentile(took, 0.99) * 1000,
                        "max_ms": max(took) * 1000}
        figures[way + "_registry"] = {name[15:]: value for name, value in node.metrics().items()
                                      if name.startswith("vigie_registry_")}
    figures["judged"] = []
    for number in range(CHANGES):
        figures["judged"].append(probe.judged(connection, 290 - number))
        time.sleep(0.05)
    figures["revoked_s"] = revoke(connection, node)
    for load in loads:
        load.stopping = True
    for load in loads:
        load.join()
    figures["readings"] = sum(load.sent for load in loads)
    base.equal([load.faults[:1] for load in loads if load.faults], [], "answers to the load")
    figures["restart_s"], _ = timed(node.restart)
    place.cluster.stop()
    figures["restart_away_s"], _ = timed(node.restart)
    client = node.https(TOKEN)
    answer = client.readings(sites.message("P-1", check.to_text(int(time.time() * 1000)), ("29463-7", 70, "kg")))
    client.close()
    base.equal(answer.status, 200, "served from the file", answer)
    node.stop()
    place.cluster.start()
    place.close()
    with open(os.path.join(place.directory, "result.json"), "w") as file:
        json.dump(figures, file, indent=1)
    say(table(figures))


def table(figures):
    """Markdown for bench/RESULTS.md."""
    lines = ["| what | figure |", "|---|---|",
             "| import of %d patients, each with device, assignment, source, identifier | %.1f s |" % (PATIENTS, figures["import_s"]),
             "| its snapshot; its file (%.0f MB) | %.0f ms; %.0f ms |" % (
                 figures["file_mb"], figures["registry"]["snapshot_seconds"] * 1000, figures["registry"]["file_seconds"] * 1000),
             "| resident: empty, enrolled, peak of the import | %d, %d, %d MB |" % (
                 figures["rss_empty_mb"], figures["rss_enrolled_mb"], figures["rss_peak_mb"])]
    for way, text in (("sql", "by SQL, after the commit"), ("import", "by import, from request to answer")):
        lines.append("| a rule in force, %s, %d times: p50, p99, max | %.0f, %.0f, %.0f ms |" % (
            text, CHANGES, figures[way]["p50_ms"], figures[way]["p99_ms"], figures[way]["max_ms"]))
    judged = figures["judged"]
    lines.append("| a reading judged by it, after the commit by SQL, %d times: p50, max | %.0f, %.0f ms |" % (
        CHANGES, percentile(judged, 0.5) * 1000, max(judged) * 1000))
    lines += ["| beside it: readings acknowledged meanwhile | %d |" % figures["readings"],
              "| a source's token withdrawn by SQL, until 401 on a kept connection | %.0f ms |" % (figures["revoked_s"] * 1000),
              "| restart; restart from the file, PostgreSQL away | %.1f s; %.1f s |" % (
                  figures["restart_s"], figures["restart_away_s"])]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
