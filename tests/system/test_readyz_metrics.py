"""Health, metrics, ports, exit codes and configuration, as operators' scripts rely on them."""
import functools
import json
import os
import subprocess
import time

from tests.harness import base, check, site as sites, vigied
from tests.harness.site import message

TOKEN = "token-of-sys-a"

SERIES = ["vigie_readings_total{result=\"%s\"}" % result for result in
          ("accepted", "duplicate", "quarantined", "rejected")]
SERIES += ["%s{sink=\"%s\"}" % (name, sink) for name in ("vigie_sink_lag_records", "vigie_sink_lag_seconds")
           for sink in ("postgres", "kafka")]
SERIES += ["vigie_quarantine_rows", "vigie_journal_free_bytes", "vigie_connections{protocol=\"https\"}",
           "vigie_connections{protocol=\"admin\"}"]
SERIES += [name + suffix for name in ("vigie_ack_seconds", "vigie_alert_delivery_seconds",
                                      "vigie_journal_sync_seconds") for suffix in ("_count", "_sum")]


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
    for path in ("/v1/test/clock", "/v1/alerts"):
        base.check(admin.get(path).status in (401, 404), path)
    base.equal(admin.get("/v1/test/clock").status, 401)
    base.equal(admin.get("/nowhere").status in (401, 404), True)


def test_metrics_exist_from_the_start_and_count():
    before = site().node.metrics()
    missing = [name for name in SERIES if name not in before]
    base.equal(missing, [], "series")
    for name in ("vigie_alerts_total", "vigie_silence_lateness_seconds"):
        base.check(any(key.startswith(name) for key in before), name)
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
