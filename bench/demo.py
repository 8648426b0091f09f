#!/usr/bin/python3
"""The demo: a whole Vigie with servers of its own below build/demo.

Starts a private PostgreSQL cluster and a broker (the one that librdkafka embeds; a real Apache Kafka with KAFKA=real),
starts vigied, enrols a small cohort, streams readings through every door (HTTPS with JSON, CBOR and FHIR, MQTT, HL7 v2
over MLLP), and prints alerts as they arrive from Kafka. SECONDS=30 ends by itself, else Ctrl-C does. The last line tells
what was sent, stored, expected and received; the exit status is 1 if a pair differs.

What is expected comes from the stories below alone: each step of a story says how many alert events it makes.
"""
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
sys.dont_write_bytecode = True
from tests.harness import base, check, doors, pg, vigied  # noqa: E402

PLACE = os.path.join(base.BUILD, "demo")
TOPIC = "vigie.alerts"
LINE = "demo"
CATCH_UP_SECONDS = 30
GATEWAY_TOKEN, SYSTEM_TOKEN = "demo-gateway", "demo-hospital"
IDENTIFIERS = "urn:oid:2.999.1"  # how HL7 v2 calls the patients

RULES = [
    {"id": "demo.glucose", "kind": "limit", "parameter": "glucose-blood", "unit": "mg/dL", "hysteresis": 5,
     "levels": [{"priority": "medium", "below": 70}, {"priority": "high", "below": 54}],
     "text": {"fr": "Glycémie basse", "en": "Low blood glucose"}},
    {"id": "demo.weight", "kind": "change", "parameter": "body-weight", "unit": "kg", "rise": 2.0, "within": "84h",
     "priority": "medium", "text": {"fr": "Prise de plus de 2 kg", "en": "Weight gain of more than 2 kg"}},
    {"id": "demo.heart", "kind": "limit", "parameter": "heart-rate", "unit": "/min", "count": 3,
     "levels": [{"priority": "medium", "above": 120}],
     "text": {"fr": "Cœur rapide", "en": "Fast heart rate, three times"}},
    {"id": "demo.oxygen", "kind": "limit", "parameter": "spo2", "unit": "%",
     "levels": [{"priority": "high", "below": 90}], "text": {"fr": "Saturation basse", "en": "Low oxygen saturation"}},
    {"id": "demo.pressure", "kind": "limit", "parameter": "bp-systolic", "unit": "mm[Hg]",
     "levels": [{"priority": "high", "above": 180}], "text": {"fr": "Tension haute", "en": "High blood pressure"}},
    {"id": "demo.silence", "kind": "silence", "max_gap": "31d", "priority": "low",
     "parameters": ["glucose-blood", "body-weight", "heart-rate", "spo2", "bp-systolic"],
     "text": {"fr": "Plus de mesures", "en": "No measurement any more"}},
]

# A story goes round and round. Each step: values to send, and how many alert events they make.
STORIES = {
    "glucose": ([("2339-0", "mg/dL")], [
        ([110], 0), ([92], 0), ([81], 0), ([66], 1), ([51], 1), ([60], 1), ([72], 0), ([80], 1), ([118], 0), ([140], 0)]),
    "weight": ([("29463-7", "kg")], [
        ([70.0], 0), ([70.4], 0), ([71.9], 0), ([72.0], 0), ([72.6], 1), ([72.4], 0), ([70.9], 1), ([70.2], 0)]),
    "heart": ([("8867-4", "/min")], [
        ([72], 0), ([75], 0), ([131], 0), ([72], 0), ([133], 0), ([135], 0), ([138], 1), ([128], 0), ([80], 1)]),
    "oxygen": ([("2708-6", "%")], [([97], 0), ([90], 0), ([88], 1), ([87], 0), ([93], 1), ([96], 0)]),
    "pressure": ([("8480-6", "mm[Hg]"), ("8462-4", "mm[Hg]")], [
        ([131, 79], 0), ([180, 88], 0), ([186, 97], 1), ([190, 99], 0), ([150, 84], 1), ([128, 76], 0)]),
}
# patient, story, door
COHORT = [("P-001", "glucose", "json"), ("P-002", "glucose", "fhir"), ("P-003", "weight", "json"),
          ("P-004", "weight", "fhir"), ("P-005", "heart", "json"), ("P-006", "oxygen", "fhir"),
          ("P-007", "pressure", "fhir"), ("P-008", "pressure", "json"), ("P-009", "glucose", "cbor"),
          ("P-010", "pressure", "cbor"), ("P-011", "heart", "mqtt"), ("P-012", "weight", "mqtt"),
          ("P-013", "oxygen", "mllp"), ("P-014", "pressure", "mllp")]
BY_DEVICE = ("json", "cbor", "mqtt")
STEP_SECONDS = (0.4, 1.2)


def say(text):
    print(text, flush=True)


# ---------------------------------------------------------------------------------------------- servers

class Servers:
    """PostgreSQL, broker and vigied; each in a session of its own, so that Ctrl-C reaches the demo alone."""

    def __init__(self, real_kafka):
        say("PostgreSQL: a private cluster in %s" % os.path.relpath(os.path.join(PLACE, "pg"), ROOT))
        self.cluster = pg.Cluster(os.path.join(PLACE, "pg"), durable=True).start()
        self.cluster.create_database("vigie")
        self.broker = None
        bootstrap = self._real_broker() if real_kafka else self._embedded_broker()
        self.node = vigied.Node(os.path.join(PLACE, "node"), self.cluster.conninfo("vigie"), bootstrap, {
            "node": {"name": "demo"}, "journal": {"segment_size": "8M"}, "listen": {
                "http": "off", "mqtts": "127.0.0.1:0", "mllp": "127.0.0.1:0", "mllp_source": "demo-system"}})
        self.bootstrap = bootstrap
        self.node.ctl("db", "migrate")
        if real_kafka:
            self.node.ctl("kafka", "create", "--partitions", "3", "--replication", "1")
        self.node.start()
        say("vigied: readings at https://127.0.0.1:%d/v1/readings and /fhir" % self.node.ports["https"])
        say("        MQTT over TLS at 127.0.0.1:%d, HL7 v2 over MLLP at 127.0.0.1:%d" % (
            self.node.ports["mqtts"], self.node.ports["mllp"]))
        say("admin:  http://127.0.0.1:%d/healthz, /readyz and /metrics" % self.node.ports["admin"])

    def _embedded_broker(self):
        say("Kafka: the broker that librdkafka embeds (memory only; KAFKA=real takes a real one)")
        log = os.path.join(PLACE, "broker.log")
        self.broker = base.spawn([os.path.join(base.BUILD, "mock-broker"), "--topic", TOPIC, "--partitions", "3"],
                                 log, stdin=subprocess.PIPE)  # it ends when its standard input does

        def printed():
            if self.broker.poll() is not None:
                raise base.Failure("the broker ended: " + base.tail(log))
            found = [line for line in base.tail(log).split("\n") if line.startswith("bootstrap=")]
            return found and found[0][len("bootstrap="):].strip()

        return base.wait_for("the broker says where it is", printed, 10)

    def _real_broker(self):
        from tests.harness import kafka
        say("Kafka: a real Apache Kafka in %s" % os.path.relpath(os.path.join(PLACE, "kafka"), ROOT))
        self.broker = kafka.Broker(os.path.join(PLACE, "kafka")).start()
        return self.broker.bootstrap

    def stop(self):
        self.node.stop()
        if hasattr(self.broker, "bootstrap"):
            self.broker.stop()
        elif self.broker is not None:
            base.stop_process(self.broker)
        self.cluster.stop()

    def stored(self):
        return int(self.cluster.psql("SELECT count(*) FROM vigie.reading", "vigie"))


def enrol(node):
    """A line with its rules, patients with their devices, a gateway for them and a hospital's system."""
    rows = [{"type": "organization", "ref": "DEMO", "name": "Demo hospital"}]
    rows += [{"type": "rule", "line": LINE, "author": "Dr Demo", "role": "physician", "reason": "demo",
              "valid_from": "2026-01-01T00:00:00Z", "rule": dict(rule, line=LINE, source="demo", tag="DEMO")}
             for rule in RULES]
    devices = []
    for patient, story, door in COHORT:
        rows += [{"type": "patient", "ref": patient, "organization": "DEMO", "line": LINE, "time_zone": "Europe/Paris"},
                 {"type": "identifier", "patient": patient, "system": "Patient", "value": patient},
                 {"type": "identifier", "patient": patient, "system": IDENTIFIERS, "value": patient}]
        if door in BY_DEVICE:
            devices.append("SN-" + patient)
            rows += [{"type": "device", "ref": devices[-1], "kind": story, "manufacturer": "Demo", "model": "One",
                      "serial": devices[-1]},
                     {"type": "assignment", "device": devices[-1], "patient": patient, "from": "2026-01-01T00:00:00Z",
                      "to": None}]
    rows += [{"type": "source", "ref": "demo-gateway", "kind": "gateway", "devices": devices, "organization": "DEMO",
              "token": GATEWAY_TOKEN},
             {"type": "source", "ref": "demo-system", "kind": "system", "organization": "DEMO",
              "token": SYSTEM_TOKEN}]
    node.import_rows(rows)
    say("enrolled: %d patients, %d rules" % (len(COHORT), len(RULES)))


# ---------------------------------------------------------------------------------------------- readings

class Streams:
    """Sends the stories, each patient at a pace of its own; counts what was acknowledged and what it must cause."""

    def __init__(self, node, seed=None):
        self.dice = random.Random(seed)
        self.doors = doors.Doors(node, GATEWAY_TOKEN, SYSTEM_TOKEN)
        self.sent = self.expected = 0
        start = time.monotonic()
        self.turns = {patient: [start + self.dice.random(), 0, 0] for patient, _, _ in COHORT}  # due, step, last ms

    def send_due(self):
        """Sends what is due and returns how long nothing will be."""
        now = time.monotonic()
        for patient, story, door in COHORT:
            if self.turns[patient][0] <= now:
                self._send(patient, story, door)
        return max(0.0, min(due for due, _, _ in self.turns.values()) - time.monotonic())

    def _send(self, patient, story, door):
        due, step, last = self.turns[patient]
        codes, steps = STORIES[story]
        values, alerts = steps[step % len(steps)]
        ms = max(last + 1, int(time.time() * 1000))
        self.doors.send(door, patient, "SN-" + patient, ms,
                        [(code, value, unit) for (code, unit), value in zip(codes, values)])
        self.sent += len(values)
        self.expected += alerts
        self.turns[patient] = [due + self.dice.uniform(*STEP_SECONDS), step + 1, ms]


# ---------------------------------------------------------------------------------------------- alerts

class Alerts(threading.Thread):
    """Reads the topic with kcat, which knows nothing of us, and prints each event once."""

    def __init__(self, bootstrap):
        super().__init__(daemon=True)
        self.seen, self.episodes = set(), set()
        log = open(os.path.join(PLACE, "kcat.log"), "ab")
        self.child = subprocess.Popen(
            ["kcat", "-C", "-u", "-q", "-b", bootstrap, "-t", TOPIC, "-o", "beginning", "-f", "%s\n",
             "-X", "fetch.wait.max.ms=50"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        self.start()

    def run(self):
        for line in self.child.stdout:
            event = json.loads(line)
            if event["event_id"] in self.seen:
                continue
            if event["patient"] is None:  # of the node itself: a disk half full is told, and is of no story
                say("  node   %-11s %-6s %s" % (event["event"], event["priority"], event["text"]["en"]))
                continue
            self.seen.add(event["event_id"])
            self.episodes.add(event["episode_id"])
            late = time.time() * 1000 - check.to_ms(event["received_at"] or event["decided_at"])
            value = "" if event["value"] is None else "%g %s" % (event["value"], event["parameter"]["unit"])
            say("  alert  %-11s %-6s %s  %-10s %s  (%d ms after the reading came in)" % (
                event["event"], event["priority"], event["patient"], value, event["text"]["en"], late))

    def stop(self):
        self.child.terminate()
        self.child.wait()


# ---------------------------------------------------------------------------------------------- the run

def stream(streams, alerts, servers, end, stopping):
    """Until the end or Ctrl-C; says every five seconds how it stands."""
    said = time.monotonic()
    while not stopping.is_set() and time.monotonic() < end:
        pause = streams.send_due()
        if time.monotonic() - said > 5:
            said = time.monotonic()
            say("  ...    readings sent %d, stored %d; alerts received %d" % (
                streams.sent, servers.stored(), len(alerts.seen)))
        stopping.wait(min(pause, 0.5))


def settle(streams, alerts, servers):
    """Gives the sinks time to catch up, and a moment more to show what should not be there."""
    end = time.monotonic() + CATCH_UP_SECONDS
    while time.monotonic() < end and (servers.stored() < streams.sent or len(alerts.seen) < streams.expected):
        time.sleep(0.2)
    time.sleep(0.5)


def main():
    stopping = threading.Event()
    seconds = os.environ.get("SECONDS", "")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    base.fresh_directory(PLACE)
    base.own_sessions()
    started = time.monotonic()
    servers = Servers(os.environ.get("KAFKA") == "real")
    alerts = None
    try:
        enrol(servers.node)
        alerts = Alerts(servers.bootstrap)
        streams = Streams(servers.node)
        say("ready after %.1f s; %s" % (time.monotonic() - started,
                                       "running for %s s" % seconds if seconds else "Ctrl-C ends it"))
        stream(streams, alerts, servers, time.monotonic() + float(seconds or "inf"), stopping)
        settle(streams, alerts, servers)
        stored, received = servers.stored(), len(alerts.seen)
    finally:
        if alerts is not None:
            alerts.stop()
        servers.stop()
    say("demo: readings sent %d, stored %d; alerts expected %d, received %d; %d episodes" % (
        streams.sent, stored, streams.expected, received, len(alerts.episodes)))
    return 0 if (streams.sent, streams.expected) == (stored, received) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (base.Failure, base.Unavailable) as error:
        sys.exit("demo: %s" % error)
