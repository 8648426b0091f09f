"""Memory: nothing on the path of a reading allocates after the start; a full pool refuses enrolment and never a reading."""
import json
import os
import resource
import signal
import socket
import time

import cbor2

from tests.harness import base, check, client as clients, hl7v2, mqtt, site as sites
from tests.harness.site import message, observation

PLAIN_ONLY = "sanitizers watch every block of the system instead of slabs"
TOKEN = "token-of-sys-a"
TRAP = os.path.join(base.BUILD, "malloc-trap.so")
PATIENTS, CONNECTIONS = 20, 1500
DAY = 86400000
RULES = [sites.GLUCOSE, sites.WEIGHT]


class Trap:
    """vigied with the trap loaded: arm() and disarm() count what happens between."""

    def __init__(self, node, plant=None):
        self.node, self.report = node, os.path.join(node.directory, "malloc-trap.txt")
        base.check(os.path.exists(TRAP), TRAP, "is not built")
        node.caged = False  # it writes its report where the cage would not let it
        node.environment.update({"LD_PRELOAD": TRAP, "MALLOC_TRAP_REPORT": self.report})
        if plant:
            node.environment["MALLOC_TRAP_PLANT"] = plant

    def signal(self, word):
        self.node.child.send_signal(signal.SIGUSR2)
        return base.wait_for("the trap is " + word, lambda: self.lines(word), 10, 0.02)

    def lines(self, word):
        with open(self.report) as file:
            lines = file.read().splitlines()
        return lines if any(line.startswith(word) for line in lines) else None

    def arm(self):
        open(self.report, "w").close()
        self.signal("armed")

    def disarm(self):
        """(how many, where the first ones were)"""
        lines = self.signal("total")
        return int(lines[-1].split()[1]), "\n".join(lines)


class Traffic:
    """Readings of every kind, each round of another day: in order, late, again, breaching, quarantined, refused."""

    def __init__(self, node):
        self.node, self.round = node, 0
        self.https, self.http = node.https(TOKEN), node.http(TOKEN)
        self.mqtt = {version: mqtt.Wire(node.ports["mqtts"], node.certificate) for version in (4, 5)}
        for version, wire in self.mqtt.items():
            wire.open("trap-%d" % version, TOKEN, version)
            wire.send(mqtt.subscribe("vigie/v1/+/errors", version=version))
            wire.next(mqtt.SUBACK)
        self.start = int(time.time() * 1000) - 20 * DAY

    def send(self, answer, statuses=(200, 201)):
        base.check(answer.status in statuses, "answer", answer)

    def many(self, patient, at):
        """An array of messages, a bundle, and a correction of what the bundle said, over the plain listener."""
        self.send(self.http.post("/v1/readings", [message(patient, check.to_text(at + moment), ("29463-7", 71, "kg"))
                                                  for moment in range(30)]))
        said = [observation(patient, "8867-4", 70 + moment, "/min", check.to_text(at + moment)) for moment in range(5)]
        self.send(self.http.fhir({"resourceType": "Bundle", "type": "batch",
                                  "entry": [{"resource": one, "request": {"method": "POST", "url": "Observation"}}
                                            for one in said]}))
        corrected = observation(patient, "8867-4", 99, "/min", check.to_text(at), status="corrected",
                                issued=check.to_text(at + 60000))
        self.send(self.http.fhir(corrected))

    def publish(self, patient, at):
        """Good, half good and bad over MQTT of both versions, and what the errors topic says of it."""
        topic = "vigie/v1/D-%s/readings" % patient
        for version, wire in self.mqtt.items():
            good = message(patient, check.to_text(at + version), ("29463-7", 71, "kg"))
            half = message(patient, check.to_text(at + 50 + version), ("29463-7", 71, "kg"), ("8867-4", 71, "kg"))
            for number, body in enumerate((json.dumps(good), json.dumps(half), "{"), 1):
                for qos in (0, 1, 2):
                    wire.send(mqtt.publish(topic, body.encode(), qos, 10 * number + qos, version=version))
            wire.send(*[mqtt.acknowledge(mqtt.PUBREL, number) for number in (12, 22, 32)], mqtt.packet(mqtt.PINGREQ))
        for wire in self.mqtt.values():
            while wire.next().kind != mqtt.PINGRESP:
                pass

    def go(self, rounds):
        for _ in range(rounds):
            self.round += 1
            at = self.start + self.round * 600000
            for number in range(PATIENTS):
                patient = "P-%d" % number
                value = 40 if (self.round // 3 + number) % 2 else 120  # breaches for three rounds, then clears
                body = message(patient, check.to_text(at), ("2339-0", value, "mg/dL"), ("29463-7", 70 + self.round % 5, "kg"),
                               ("8867-4", 60 + self.round % 50, "/min"))
                self.send(self.https.post("/v1/readings", body))
                if number % 4 == 0:
                    self.send(self.https.post("/v1/readings", body))  # again
                    late = message(patient, check.to_text(at - 5 * 600000 - 1000 - number), ("2339-0", 50, "mg/dL"))
                    self.send(self.https.post("/v1/readings", late))
                    fhir = observation(patient, "8867-4", 61, "/min", check.to_text(at + 1000))
                    self.send(self.https.post("/fhir/Observation", fhir, "application/fhir+json"))
                    self.many(patient, at + 3000)
                    self.publish(patient, at + 4000)
                    cbor = message(patient, at + 5000, ("8867-4", 60 + number + 1 / 3, "/min"), ("2339-0", 120, "mg/dL"))
                    self.send(self.https.post("/v1/readings", cbor2.dumps(cbor), "application/cbor"))
                    self.send(self.https.post("/v1/readings", cbor2.dumps(cbor)[:-1], "application/cbor"), (400,))
                if number % 10 == 0:
                    impossible = message(patient, check.to_text(at + 2000), ("29463-7", 0, "kg"))
                    self.send(self.https.post("/v1/readings", impossible))
                    self.send(self.https.post("/v1/readings", {"patient": patient}), (400, 422))
                    new = self.node.https(TOKEN)  # a handshake
                    self.send(new.post("/v1/readings", body))
                    new.close()


def prepare(name, plant=None):
    site = sites.Site(name, start=False, settings={"journal": {"snapshot_bytes": "1M"},
                                                      "listen": {"mqtts": "127.0.0.1:0"}})
    trap = Trap(site.node, plant)
    site.node.start()
    rows = sites.organization_rows() + [sites.rule_row(sites.SILENCE), sites.system_row("sys-a", TOKEN)]
    for number in range(PATIENTS):
        rows += sites.patient_rows("P-%d" % number, rules=RULES)
    site.node.import_rows(rows)
    return site, trap


def test_nothing_on_the_path_of_a_reading_allocates():
    site, trap = prepare("memory-trap")
    with site:
        traffic = Traffic(site.node)
        traffic.go(20)
        trap.arm()
        traffic.go(40)
        count, where = trap.disarm()
        base.equal(count, 0, "calls to the system's allocator on shards and loops\n" + where)
        alerts = sum(value for name, value in site.node.metrics().items() if name.startswith("vigie_alerts_total"))
        base.check(alerts > 100, "alerts were decided meanwhile", alerts)


def test_the_trap_catches_an_allocation():
    site, trap = prepare("memory-plant", plant="1")
    with site:
        traffic = Traffic(site.node)
        traffic.go(1)
        trap.arm()
        traffic.go(1)
        count, where = trap.disarm()
        base.check(count > 0 and "malloc 77" in where, "a planted allocation is found", where)


def test_nothing_on_the_path_of_hl7_allocates():
    """Taken, refused beside good ones and refused as a whole; texts that are unescaped and converted."""
    site = sites.Site("memory-hl7", start=False, settings={"listen": {"mllp": "127.0.0.1:0", "mllp_source": "sys-a"}})
    trap = Trap(site.node)
    site.node.start()
    site.node.import_rows(sites.organization_rows() + [sites.rule_row(sites.SILENCE), sites.system_row("sys-a", TOKEN)]
                          + sites.patient_rows("P-1", rules=RULES)
                          + [{"type": "identifier", "patient": "P-1", "system": "urn:oid:2.999.1", "value": "P-1"}])
    start = int(time.time() * 1000) - DAY

    def go(first, count):
        for number in range(first, first + count):
            rows = [hl7v2.numeric(1, hl7v2.WEIGHT[0], 70 + number % 9, hl7v2.WEIGHT[1], path="1\\T\\1"),
                    hl7v2.numeric(2, hl7v2.PULSE[0], 60 + number % 9, hl7v2.PULSE[1]) + "||||caf\\XE9\\|||a%d^b" % number]
            bad = hl7v2.numeric(3, hl7v2.PULSE[0], "6x", hl7v2.PULSE[1])
            wire.send(hl7v2.observation("A", start + number * 1000, *rows, charset="8859/1"),
                      hl7v2.observation("B", start + number * 1000 + 500, *(rows + [bad])),
                      hl7v2.observation("C", start + number * 1000, *rows, who="nobody"),
                      hl7v2.weight("D", start, 70, version="1"))
            base.equal([wire.next().code for _ in range(4)], ["CA", "CA", "CE", "CR"])

    with site, hl7v2.Wire(site.node.ports["mllp"]) as wire:
        go(0, 200)
        trap.arm()
        go(200, 400)
        count, where = trap.disarm()
        base.equal(count, 0, "calls to the system's allocator on shards and loops\n" + where)


def enrolment(numbers):
    rows = []
    for number in numbers:
        rows += sites.patient_rows("E-%d" % number, device=False)
    return rows


def test_a_full_pool_refuses_enrolment_and_never_a_reading():
    with sites.Site("memory-full", settings={"node": {"max_memory": "16M", "shards": "1"}}) as site:
        site.node.import_rows(sites.organization_rows() + [sites.rule_row(sites.SILENCE),
                                                           sites.system_row("sys-a", TOKEN)] + enrolment(range(1000)))
        many = enrolment(range(1000, 4000))
        path = os.path.join(site.node.directory, "many.ndjson")
        with open(path, "w") as file:
            file.write("".join(json.dumps(row) + "\n" for row in many))
        status, _, errors = site.node.ctl("import", path, expect=None)
        base.check(status != 0 and "max_memory" in errors and "many.ndjson:" in errors, "refused", status, errors)
        enrolled = site.cluster.query("SELECT count(*) FROM vigie.patient", database="vigie")
        base.equal(int(enrolled[0][0]), 1000, "patients after a refused import")
        https, start = site.node.https(TOKEN), int(time.time() * 1000) - DAY
        for batch in range(110):  # 13 bytes a reading
            body = [message("E-%d" % (number + 100 * (batch % 10)),
                            check.to_text(start + batch * 60000),
                            *[{"code": "29463-7", "value": 70, "unit": "kg",
                               "time": check.to_text(start + batch * 60000 + moment * 100)} for moment in range(95)])
                    for number in range(100)]
            answer = https.post("/v1/readings", body)
            base.equal(answer.status, 200, "readings of a full pool", answer)
        status, _, errors = site.node.ctl("import", path, expect=None)
        base.check(status != 0 and "room for 0 more" in errors, "refused again", status, errors)
        metrics = site.node.metrics()
        base.check(metrics["vigie_memory_held_bytes"] > metrics["vigie_memory_planned_bytes"] == 16 << 20, metrics)
        site.node.restart()  # a smaller plan than what the journal brings stops no start
        base.equal(site.node.https(TOKEN).post("/v1/readings", body).status, 200, "after a restart")


def resident_kb(pid):
    with open("/proc/%d/status" % pid) as file:
        return int(file.read().split("VmRSS:")[1].split()[0])


def raw(connection):
    """The socket beneath TLS."""
    return socket.socket(fileno=os.dup(connection.fileno()))


def test_a_connection_costs_20_kb_at_most_however_slow_it_is():
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    slow = {"handshake_timeout": "60s", "first_byte_timeout": "60s", "message_timeout": "60s"}
    with sites.Site("memory-tls", settings={"listen": slow}) as site:
        node = site.node
        pid = base.daemon_pid(node.child)
        context = clients.trusting(node.certificate)

        def connect(count):
            plain = [socket.create_connection(("127.0.0.1", node.ports["https"]), 30) for _ in range(count)]
            return [context.wrap_socket(one, server_hostname="localhost") for one in plain]

        warm = connect(100)
        before = resident_kb(pid)
        figures = {}
        held = connect(CONNECTIONS)

        def note(what):
            time.sleep(0.5)
            figures[what] = (resident_kb(pid) - before) / CONNECTIONS

        note("idle after its handshake")
        for one in held:
            one.sendall(b"POST /v1/readings HTTP/1.1\r\nHost: x\r\nAuthor")
        note("a head begun")
        for one in held:
            beneath = raw(one)
            beneath.sendall(b"\x17\x03\x03\x3e\x80" + b"x" * 100)
            beneath.close()
        note("a record of 16 KB begun")
        print(", ".join("%s %.1f KB" % item for item in figures.items()))
        for what, kb in figures.items():
            base.check(kb <= 20, what, kb, "KB a connection")
        for one in warm + held:
            one.close()
