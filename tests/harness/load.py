"""Load that knows what it was promised: senders over TLS, each with patients of its own, and what must hold after.

Measured times go forward with jumps back (late and shuffled readings), values wander around the limits of the rules,
so that episodes begin, change, merge and end. What was not acknowledged is sent again or forgotten, by dice.
"""
import http.client
import random
import threading
import time

from tests.harness import base, check, consume, site as sites
from tests.harness.site import message
from tests.oracle import oracle

TOKEN = "token-of-the-load"
MINUTE = 60 * 1000
GLUCOSE = dict(sites.GLUCOSE, id="load.glucose", count=2, hysteresis=5, clear_count=2, max_gap="6h")
WEIGHT = dict(sites.WEIGHT, id="load.weight")


def cohort(senders, patients):
    rows = sites.organization_rows() + [sites.rule_row(sites.SILENCE), sites.system_row("sys-load", TOKEN)]
    for sender in range(senders):
        for number in range(patients):
            rows += sites.patient_rows("L-%d-%d" % (sender, number), device=False, rules=[GLUCOSE, WEIGHT])
    return rows


class Sender(threading.Thread):
    def __init__(self, load, number, patients):
        super().__init__(daemon=True)
        self.load, self.dice = load, random.Random("%s/%d" % (load.seed, number))
        self.patients = ["L-%d-%d" % (number, index) for index in range(patients)]
        self.clock = {patient: int(time.time() * 1000) - 20 * oracle.DAY for patient in self.patients}
        self.value = {patient: 100.0 for patient in self.patients}
        self.acknowledged, self.sent, self.refused = set(), set(), []
        self.latency_max = 0.0

    def make(self):
        patient = self.dice.choice(self.patients)
        readings, names = [], []
        for _ in range(self.dice.choice((1, 1, 2, 5))):
            self.clock[patient] += self.dice.choice((1, 5, 20, 90, 500)) * MINUTE + self.dice.randrange(1000)
            at = self.clock[patient] - (self.dice.randrange(12 * oracle.HOUR) if self.dice.random() < 0.15 else 0)
            limit = int(time.time() * 1000)
            if at > limit:
                self.clock[patient], at = limit - 20 * oracle.DAY, limit - self.dice.randrange(oracle.DAY)
            if self.dice.random() < 0.6:
                self.value[patient] = min(320, max(40, self.value[patient] + self.dice.randrange(-30, 31)))
                code, value, unit = "2339-0", int(self.value[patient]), "mg/dL"
            else:
                code, value, unit = "29463-7", 70 + self.dice.randrange(0, 30) / 10, "kg"
            readings.append({"code": code, "value": value, "unit": unit, "time": check.to_text(at)})
            names.append((patient, "glucose-blood" if code == "2339-0" else "body-weight", at,
                          round(value * 1000000)))
        return message(patient, check.to_text(self.clock[patient]), *readings), names

    def run(self):
        client, waiting = None, None
        while not self.load.stopping.is_set():
            body, names = waiting or self.make()
            waiting = None
            self.sent.update(names)
            try:
                client = client or self.load.node.https(TOKEN, timeout=30)
                started = time.monotonic()
                answer = client.readings(body)
                self.latency_max = max(self.latency_max, time.monotonic() - started)
                if answer.status == 200 and not answer.json()["rejected"]:
                    self.acknowledged.update(names)
                elif answer.status in (429, 503):
                    waiting = body, names
                    time.sleep(0.05)
                else:
                    self.refused.append(repr(answer))
            except (OSError, http.client.HTTPException):
                if client is not None:
                    client.close()
                client = None
                if self.dice.random() < 0.5:
                    waiting = body, names
                time.sleep(0.02)
            if self.load.pause:
                time.sleep(self.load.pause)


class Load:
    """Runs as a context: starts its senders, and stops them at the end."""

    def __init__(self, node, seed=1, senders=4, patients=5, pause=0.0):
        self.node, self.seed, self.pause = node, seed, pause
        self.stopping = threading.Event()
        self.senders = [Sender(self, number, patients) for number in range(senders)]

    def __enter__(self):
        for sender in self.senders:
            sender.start()
        return self

    def __exit__(self, *error):
        self.stopping.set()
        for sender in self.senders:
            sender.join(60)

    def acknowledged(self):
        return set().union(*(sender.acknowledged for sender in self.senders))

    def sent(self):
        return set().union(*(sender.sent for sender in self.senders))

    def refused(self):
        return [text for sender in self.senders for text in sender.refused]


def versions(now):
    """The load's rules as they are in force: of the patient layer, reaching back by the look-back."""
    return [oracle.Version(rule, "patient", now - 34 * oracle.DAY, now) for rule in (GLUCOSE, WEIGHT)]


def verify(site, load):
    """Everything that must hold when both sinks have caught up; returns figures for the record."""
    site.node.wait_drained("postgres", "kafka", seconds=120)
    base.equal(load.refused(), [], "refused")
    stored = check.stored_readings(site.cluster)
    check.stored_once(stored)
    names = [(r.patient, r.parameter, r.measured_at, r.value) for r in stored if r.patient.startswith("L-")]
    base.equal(len(names), len(set(names)), "one row a reading")
    acknowledged, sent = load.acknowledged(), load.sent()
    base.check(acknowledged, "something was acknowledged")
    lost = acknowledged - set(names)
    base.check(not lost, len(lost), "acknowledged and not stored:", sorted(lost)[:5])
    invented = set(names) - sent
    base.check(not invented, len(invented), "stored and never sent:", sorted(invented)[:5])
    records = consume.by_confluent(site.broker.bootstrap)
    now = int(time.time() * 1000)
    expected = []
    for ref in sorted({name[0] for name in names}):
        patient = oracle.Patient(ref, check.to_ms("2026-01-01T00:00:00Z"))
        expected += [e.as_tuple() for e in oracle.evaluate(patient, stored, versions(now), now)]
    found = check.episodes_of_topic(records, ("clinical",))
    check.same_episodes(found, sorted(expected, key=lambda episode: episode[:4]))
    check.topic_is_in_database(site.cluster, records)
    base.check(expected, "the load makes episodes")
    return {"sent": len(sent), "acknowledged": len(acknowledged), "stored": len(names), "episodes": len(expected),
            "events": len(check.distinct_events(records)), "records": len(records)}
