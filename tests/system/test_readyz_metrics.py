"""Health, metrics, ports, exit codes and configuration, as operators' scripts rely on them."""
import functools
import json
import os
import re
import subprocess
import time

from tests.harness import base, check, site as sites, vigied
from tests.harness.site import message

TOKEN = "token-of-sys-a"

PROTOCOLS = ("https", "http", "mqtts", "mqtt", "mllps", "mllp", "adt", "admin")
SINKS = ("postgres", "kafka")
EVENTS = ("raised", "escalated", "cleared", "closed", "acknowledged")  # some of them
SERIES = {"vigie_readings_total": [{"result": result} for result in ("accepted", "duplicate", "quarantined", "rejected")],
          "vigie_sink_lag_records": [{"sink": sink} for sink in SINKS],
          "vigie_sink_lag_seconds": [{"sink": sink} for sink in SINKS],
          "vigie_sink_connected": [{"sink": sink} for sink in SINKS],
          "vigie_connections": [{"protocol": protocol} for protocol in PROTOCOLS],
          "vigie_alerts_total": [{"event": event, "priority": priority} for event in EVENTS
                                 for priority in ("low", "medium", "high")],
          "vigie_certificate_not_after_seconds": [{"certificate": name} for name in ("server", "client_ca", "crl")],
          "vigie_reloads_total": [{"result": result} for result in ("taken", "refused")],
          "vigie_quarantine_rows": [{}], "vigie_journal_free_bytes": [{}], "vigie_journal_hours_left": [{}],
          "vigie_threads_stuck": [{}], "vigie_replay_differences": [{"shard": "0"}],
          "vigie_snapshot_age_seconds": [{"shard": "0"}], "vigie_accepting": [{}],
          "vigie_condition_holds": [{}], "vigie_kafka_topics_missing": [{}], "vigie_kafka_parked_events": [{}],
          "vigie_kafka_producers_total": [{}]}
HISTOGRAMS = ("vigie_ack_seconds", "vigie_alert_delivery_seconds", "vigie_journal_sync_seconds",
              "vigie_silence_lateness_seconds")
SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)(\{[a-z_]+="(?:[^"\\\n]|\\.)*"(?:,[a-z_]+="(?:[^"\\\n]|\\.)*")*\})? (\S+)', re.A)


def name_of(family, labels):
    return family + ("{%s}" % ",".join('%s="%s"' % item for item in labels.items()) if labels else "")


def families(text):
    """{family: (type, [(sample, labels, value)])} of a text as promtool would have it; fails where it would."""
    base.check(text.endswith("\n"), "ends with a line feed")
    found, family, seen = {}, None, set()
    lines = iter(text[:-1].split("\n"))
    for line in lines:
        if line.startswith("# HELP "):
            family, help_text = line[7:].split(" ", 1)
            base.check(family not in found and help_text, "HELP once and with a text", line)
            kind = next(lines)
            base.check(kind.startswith("# TYPE %s " % family), "TYPE behind HELP", line, kind)
            found[family] = (kind.rsplit(" ", 1)[1], [])
            base.check(found[family][0] in ("counter", "gauge", "histogram"), kind)
            continue
        match = SAMPLE.fullmatch(line)
        base.check(match, "a sample", line)
        name, labels, value = match.groups()
        base.check(line[:-len(value)] not in seen, "once", line)
        seen.add(line[:-len(value)])
        stem = re.sub(r"_(bucket|sum|count)$", "", name) if found[family][0] == "histogram" else name
        base.equal(stem, family, "samples stand behind their family", line)
        number = float(value)
        base.check(number >= 0 or found[family][0] == "gauge", "only gauges are negative", line)
        found[family][1].append((name, labels or "", number))
    return found


def whole_histogram(family, samples):
    buckets = [(float(re.search('le="([^"]+)"', labels).group(1)), value) for name, labels, value in samples
               if name.endswith("_bucket")]
    base.equal(buckets, sorted(buckets), family, "buckets grow")
    base.equal([value for _, value in buckets], sorted(value for _, value in buckets), family, "buckets are cumulative")
    base.equal(buckets[-1][0], float("inf"), family, "the last bucket")
    totals = {name: value for name, _, value in samples if not name.endswith("_bucket")}
    base.equal(totals[family + "_count"], buckets[-1][1], family, "+Inf is the count")
    base.check(family + "_sum" in totals, family, "has a sum")


@functools.lru_cache(None)
def site():
    place = sites.Site("readyz")
    place.node.import_rows(sites.organization_rows() + [sites.rule_row(sites.SILENCE)] + sites.patient_rows("P-1")
                           + [sites.system_row("sys-a", TOKEN)])
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def test_health_is_open_and_everything_else_is_not():
    admin = site().node.admin()
    for path in ("/healthz", "/readyz", "/metrics"):
        base.equal(admin.get(path).status, 200, path)
        base.equal(admin.request("HEAD", path).status, 200, "HEAD " + path)
    for path in ("/v1/test/clock", "/v1/alerts"):
        base.check(admin.get(path).status in (401, 404), path)
    base.equal(admin.get("/v1/test/clock").status, 401)
    base.equal(admin.get("/nowhere").status in (401, 404), True)


def test_metrics_exist_from_the_start_and_count():
    before = site().node.metrics()
    missing = [name_of(family, labels) for family, all_labels in SERIES.items() for labels in all_labels
               if name_of(family, labels) not in before]
    missing += [name + suffix for name in HISTOGRAMS for suffix in ("_count", "_sum") if name + suffix not in before]
    base.equal(missing, [], "series")
    base.equal([name for name in before if name.startswith("vigie_readings_total") and before[name] != 0], [], "at first 0")
    at = check.to_text(int(time.time() * 1000) - 1000)
    client = site().node.https(TOKEN)
    for value, unit in ((70, "kg"), (70, "kg"), (0, "kg"), (70, "mm[Hg]")):
        client.readings(message("P-1", at, ("29463-7", value, unit)))
    after = site().node.metrics()
    for result in ("accepted", "duplicate", "quarantined", "rejected"):
        name = "vigie_readings_total{result=\"%s\"}" % result
        base.equal(after[name] - before[name], 1, name)
    base.check(after["vigie_ack_seconds_count"] > before["vigie_ack_seconds_count"], "acknowledgements are timed")
    base.check(after["vigie_journal_sync_seconds_count"] > before["vigie_journal_sync_seconds_count"], "syncs are timed")
    base.check(after["vigie_connections{protocol=\"https\"}"] >= 1, "this connection is counted")


def test_metrics_are_as_prometheus_wants_them():
    text = site().node.admin().get("/metrics").body.decode()
    found = families(text)
    for family, (kind, samples) in found.items():
        base.check(samples, family, "has samples")
        base.check(family.startswith("vigie_"), family)
        base.equal(kind == "counter", family.endswith("_total"), family, "counters and they alone end with _total")
        if kind == "histogram":
            whole_histogram(family, samples)
    base.equal([name for name in HISTOGRAMS if found[name][0] != "histogram"], [], "histograms")
    base.check(len(found) > 20, len(found))
    values = site().node.metrics()
    left = values['vigie_certificate_not_after_seconds{certificate="server"}'] - time.time()
    base.check(29 * 86400 < left < 31 * 86400, "the certificate is good for 30 days", left)
    base.equal((values["vigie_accepting"], values["vigie_threads_stuck"]), (1, 0))


def test_readyz_tells_a_sink_that_is_away_and_stays_ready():
    def answer():
        return site().node.admin().get("/readyz")

    base.wait_for("Kafka is told as away", lambda: b"Kafka is away" in answer().body, 15)
    base.equal((answer().status, answer().json()["ready"], answer().json()["not_ready"]), (200, True, []), answer())


def test_ports_file_is_flat_and_goes_at_an_orderly_stop():
    path = os.path.join(site().node.state_dir, "ports.json")
    with open(path) as file:
        ports = json.load(file)
    base.equal(sorted(ports), ["admin", "http", "https"], ports)
    base.check(all(isinstance(port, int) and port > 0 for port in ports.values()), ports)
    site().node.stop()
    base.check(not os.path.exists(path), "ports.json after SIGTERM")
    site().node.start()


def test_state_dir_is_locked():
    other = subprocess.run([vigied.PROGRAM, "--config", site().node.config], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20)
    base.check(other.returncode != 0 and other.stderr, "a second vigied refuses", other)
    base.equal(site().node.admin().get("/readyz").status, 200, "the first goes on")


def check_config(settings):
    path = os.path.join(site().node.directory, "checked.conf")
    with open(path, "w") as file:
        file.write(vigied.text_of(settings))
    done = subprocess.run([vigied.PROGRAM, "--config", path, "--check"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20)
    return done.returncode, done.stderr.decode()


def test_check_validates():
    settings = {section: dict(keys) for section, keys in site().node.settings.items()}
    base.equal(check_config(settings)[0], 0, "the configuration of this node", check_config(settings))
    for section, key, value in (("node", "shards", "many"), ("node", "colour", "red"), ("listen", "https", "nowhere"),
                                ("journal", "segment_size", "4X"), ("tls", "certificate", "/nonexistent.pem")):
        bad = {name: dict(keys) for name, keys in settings.items()}
        bad[section][key] = value
        status, errors = check_config(bad)
        base.equal(status, 1, section, key, value, errors)
        base.check(key in errors, key, "in", errors)
    production = {name: dict(keys) for name, keys in settings.items()}
    production["node"]["mode"] = "production"
    status, errors = check_config(production)
    base.check(status == 1 and "openssl rand -hex 32" in errors, "production needs a master key", status, errors)


def test_journal_and_kafka_tools():
    site().node.ctl("journal", "status")
    site().node.ctl("journal", "verify")
    json.loads(site().node.ctl("journal", "status", "--json"))
    status, _, errors = site().node.ctl("kafka", "check", expect=None)
    base.check(status != 0 and errors, "no broker there", status, errors)
    status, _, errors = site().node.ctl("db", "status", expect=None)
    base.equal(status, 0, errors)
    site().node.ctl("db", "migrate")
    status, _, errors = site().node.ctl("nonsense", expect=None)
    base.equal(status, 64, errors)


def test_sigterm_answers_what_is_in_flight():
    client = site().node.https(TOKEN)
    at = int(time.time() * 1000) - 5000
    for number in range(20):
        base.equal(client.readings(message("P-1", check.to_text(at + number), ("8867-4", 70, "/min"))).status, 200)
    site().node.stop()
    site().node.start()
    site().node.wait_drained("postgres")
    stored = check.stored_readings(site().cluster)
    check.stored_once(stored)
    base.equal(len([r for r in stored if r.parameter == "heart-rate"]), 20, "stored over the restart")
