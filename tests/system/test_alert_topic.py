"""A breach is on the topic as the schema says, read by strangers: kcat and confluent-kafka."""
import functools
import json
import time

from tests.harness import base, check, consume, jsonschema, site as sites
from tests.harness.site import message
from tests.oracle import oracle

TOKEN = "token-of-sys-a"
MINUTE = 60 * 1000


@functools.lru_cache(None)
def site():
    place = sites.Site("alert-topic", broker=True)
    rows = sites.organization_rows() + [sites.rule_row(sites.SILENCE)]
    for ref in ("P-1", "P-2"):
        rows += sites.patient_rows(ref, rules=[sites.GLUCOSE, sites.WEIGHT])
    place.node.import_rows(rows + [sites.system_row("sys-a", TOKEN)])
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def everything():
    site().node.wait_drained("kafka", "postgres")
    return consume.by_confluent(site().broker.bootstrap)


def records():
    """Of patients: the node may tell of its machine besides, such as of a disk that is half full."""
    return [record for record in everything() if record.json()["patient"] is not None]


def send(patient, at, *readings):
    answer = site().node.https(TOKEN).readings(message(patient, check.to_text(at), *readings))
    base.equal((answer.status, answer.json()["rejected"]), (200, []), answer)


def now():
    return int(time.time() * 1000)


def test_a_breach_is_on_the_topic():
    at = now() - 3 * MINUTE
    send("P-1", at, ("2339-0", 60, "mg/dL"))
    found = records()
    base.equal(len(found), 1, "records", found)
    event = found[0].json()
    base.equal(jsonschema.errors(event, check.schema()), [], "schema")
    for name, value in (("event", "raised"), ("sequence", 1), ("side", "low"), ("priority", "medium"),
                        ("class", "clinical"), ("patient", "P-1"), ("organization", "ORG-A"), ("line", sites.LINE),
                        ("value", 60), ("measured_at", check.to_text(at)), ("retrospective", False),
                        ("raised_at", check.to_text(at)), ("cleared_at", None), ("state", "open"),
                        ("priorities", [[check.to_text(at), "medium"]]), ("reason", None), ("into", None),
                        ("readings_in_breach", 1), ("test", True), ("text", sites.GLUCOSE["text"])):
        base.equal(event[name], value, name)
    base.equal((event["rule"]["id"], event["rule"]["version"], event["rule"]["kind"], event["rule"]["layer"]),
               ("test.glucose", 1, "limit", "patient"), "rule")
    base.equal(event["parameter"]["name"], "glucose-blood", "parameter")
    base.equal([(item["measured_at"], item["value"]) for item in event["readings"]], [(check.to_text(at), 60)])
    rows = site().cluster.query("SELECT reading_id::text FROM vigie.reading", database="vigie")
    base.equal([event["readings"][0]["id"]], [row[0] for row in rows], "reading_id")
    base.check(0 <= check.to_ms(event["decided_at"]) - check.to_ms(event["received_at"]) < 2000, "decided", event)


def test_cloud_events_in_binary_mode_read_by_kcat():
    by_confluent = records()
    by_kcat = [r for r in consume.by_kcat(site().broker.bootstrap) if r.json()["patient"] is not None]
    base.equal([(r.key, r.headers, r.value) for r in by_kcat], [(r.key, r.headers, r.value) for r in by_confluent],
               "both readers")
    for record in by_kcat:
        event = record.json()
        base.equal(record.key, event["patient"], "key")
        headers = record.headers
        base.equal(headers["ce_specversion"], "1.0")
        base.equal(headers["ce_id"], event["event_id"])
        base.equal(headers["ce_type"], "fr.vigie.alert.%s.v1" % event["event"])
        base.equal(headers["ce_subject"], event["episode_id"])
        base.check("test" in headers["ce_source"], "ce_source names the node", headers)
        base.check(headers["content-type"].startswith("application/json"), headers)
        base.check(abs(check.to_ms(headers["ce_time"]) - check.to_ms(event["decided_at"])) < 1000, headers)


def test_an_episode_is_told_whole():
    at = now() - 2 * MINUTE
    send("P-1", at, ("2339-0", 50, "mg/dL"))
    send("P-1", at + 1000, ("2339-0", 58, "mg/dL"))
    send("P-1", at + 2000, ("2339-0", 72, "mg/dL"))
    send("P-1", at + 3000, ("2339-0", 75, "mg/dL"))
    events = [record.json() for record in records()]
    base.equal([(e["event"], e["sequence"], e["priority"], e["state"]) for e in events],
               [("raised", 1, "medium", "open"), ("escalated", 2, "high", "open"),
                ("deescalated", 3, "medium", "open"), ("cleared", 4, "medium", "cleared")][:len(events)], events)
    base.equal(events[-1]["cleared_at"], check.to_text(at + 3000), "cleared")
    base.equal(len({e["episode_id"] for e in events}), 1, "one episode")


def test_late_data_change_what_was_published():
    """Readings that arrive out of order: episodes are what the whole series implies."""
    start = now() - 30 * 3600 * 1000
    for hours, weight in ((0, 70), (24, 72.5), (20, 72.4), (22, 71), (10, 66), (29, 68.5)):
        send("P-2", start + hours * 3600 * 1000, ("29463-7", weight, "kg"))
    found = records()
    for record in found:
        base.equal(jsonschema.errors(record.json(), check.schema()), [], "schema")
    stored = check.stored_readings(site().cluster)
    expected = []
    for ref in ("P-1", "P-2"):
        patient = oracle.Patient(ref, now() - 300 * oracle.DAY)
        versions = [oracle.Version(rule, "patient", now() - 34 * oracle.DAY, now()) for rule in
                    (sites.GLUCOSE, sites.WEIGHT)]
        expected += [episode.as_tuple() for episode in oracle.evaluate(patient, stored, versions, now())]
    check.same_episodes(check.episodes_of_topic(found), sorted(expected, key=lambda episode: episode[:4]))
    check.topic_is_in_database(site().cluster, everything())


def test_alert_table_stands_as_after_the_last_event():
    last = {}
    for record in everything():
        last[record.json()["episode_id"]] = record.json()
    rows = site().cluster.query(
        "SELECT episode_id::text, rule_id, side, class, priority, state, last_sequence FROM vigie.alert",
        database="vigie")
    base.equal(sorted(rows), sorted((e["episode_id"], e["rule"]["id"], e["side"], e["class"], e["priority"],
                                     e["state"], e["sequence"]) for e in last.values()), "vigie.alert")


def test_acknowledgement_is_an_event():
    at = now() - 1000
    send("P-1", at, ("2339-0", 300, "mg/dL"))
    episode = [r.json() for r in records() if r.json()["side"] == "high" and r.json()["patient"] == "P-1"][-1]
    site().node.ctl("alert", "ack", episode["episode_id"], "--author", "Dr A", "--note", "called")
    event = [r.json() for r in records() if r.json()["episode_id"] == episode["episode_id"]][-1]
    base.equal((event["event"], event["sequence"], event["state"]), ("acknowledged", episode["sequence"] + 1, "open"))
    base.check("Dr A" in json.dumps(event["author"]) and event["note"] == "called", event)
    rows = site().cluster.query("SELECT acknowledged_at IS NOT NULL, acknowledged_by FROM vigie.alert "
                                "WHERE episode_id = %s", (episode["episode_id"],), "vigie")
    base.check(rows[0][0] and "Dr A" in rows[0][1], rows)
    status, _, errors = site().node.ctl("alert", "ack", "00000000-0000-8000-8000-000000000000", expect=None)
    base.check(status != 0 and errors, "an unknown episode", status, errors)
