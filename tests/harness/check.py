"""What must hold between what was sent, the tables and the topic."""
import datetime
import json
import os
import time

from tests.harness import base
from tests.oracle import oracle

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def to_ms(time):
    """A timestamptz of psycopg2, or "2026-11-21T07:30:00.000Z"."""
    if isinstance(time, str):
        time = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
    return (time - EPOCH) // datetime.timedelta(milliseconds=1)


def to_text(ms):
    return (EPOCH + datetime.timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Moments:
    """Times from an hour ago back, another minute each: readings that take theirs from here are all new ones."""

    def __init__(self):
        self.last = int(time.time() * 1000) - 3600 * 1000

    def ms(self):
        self.last -= 60000
        return self.last

    def text(self):
        return to_text(self.ms())


def stored_readings(cluster, database="vigie"):
    """All rows of reading as the oracle takes them."""
    rows = cluster.query("""
        SELECT p.ref, m.name, r.value, r.measured_at, r.received_at, r.key_device, r.sensor, r.comparator, r.status,
               s.ref, r.alias, r.issued, r.time_precision, r.reading_id::text
          FROM vigie.reading r JOIN vigie.patient p USING (patient_id) JOIN vigie.parameter m USING (parameter_id)
          JOIN vigie.source s USING (source_id)""", database=database)
    readings = []
    for row in rows:
        reading = oracle.Reading(row[0], row[1], row[2], to_ms(row[3]), to_ms(row[4]), row[5], row[6], row[7], row[8],
                                 row[9], row[10], None if row[11] is None else to_ms(row[11]), row[12] == "day")
        reading.request = reading.received_at
        reading.reading_id = row[13]
        readings.append(reading)
    return readings


def stored_once(readings):
    """No reading has two rows."""
    seen = {}
    for reading in readings:
        name = reading.reading_id, reading.status, reading.issued
        base.check(name not in seen, "stored twice:", reading, seen.get(name))
        seen[name] = reading


def schema():
    with open(os.path.join(base.ROOT, "alerting", "alert-event.schema.json")) as file:
        return json.load(file)


def distinct_events(records):
    """Repeats are byte-equal and dropped by ce_id; what remains is in order of sequence for each episode."""
    by_id, ordered = {}, []
    for record in records:
        known = by_id.get(record.headers["ce_id"])
        if known is None:
            by_id[record.headers["ce_id"]] = record
            ordered.append(record)
        else:
            base.equal(record.value, known.value, "a repeated event is byte-equal")
    return ordered


def episodes_of_topic(records, kinds=("clinical", "silence")):
    """Episodes as the topic alone tells them: the last event of each, cancelled ones left out."""
    last = {}
    for record in distinct_events(records):
        event = record.json()
        episode = event["episode_id"]
        expected = last[episode]["sequence"] + 1 if episode in last else 1
        base.equal(event["sequence"], expected, "sequence of episode", episode)
        last[episode] = event
    episodes = []
    for event in last.values():
        if event["class"] in kinds and event["state"] != "cancelled":
            episodes.append((event["rule"]["id"], event["side"], event["patient"], to_ms(event["raised_at"]),
                             None if event["cleared_at"] is None else to_ms(event["cleared_at"]),
                             tuple((to_ms(time), priority) for time, priority in event["priorities"])))
    return sorted(episodes, key=lambda episode: episode[:4])


def same_episodes(found, expected):
    missing = [episode for episode in expected if episode not in found]
    extra = [episode for episode in found if episode not in expected]
    base.check(not missing and not extra, "episodes: %d expected, %d found;" % (len(expected), len(found)),
               "missing", missing[:4], "not implied", extra[:4])
    base.equal(len(found), len(expected), "number of episodes")


def topic_is_in_database(cluster, records, database="vigie"):
    """alert_event holds exactly the distinct events of the topic, with the published bytes."""
    rows = cluster.query("SELECT event_id::text, payload::text FROM vigie.alert_event", database=database)
    published = {record.headers["ce_id"]: record.value.decode() for record in distinct_events(records)}
    base.equal(dict(rows), published, "alert_event against the topic")
