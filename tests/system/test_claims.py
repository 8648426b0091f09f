"""Claims on patients through every door into PostgreSQL: no row under a wrong patient, every refusal as the pages say; first
in a world that stands, then while assignments, sources and names change. The evaluator is tests/oracle/owners.py."""
import copy
import functools
import json
import os
import random
import re
import socket
import threading
import time

import cbor2

from tests.harness import base, check, mqtt, site as sites
from tests.oracle.owners import Claim, Source, judge

SEED = int(os.environ.get("VIGIE_CLAIMS_SEED", "1"))
STANDING = int(os.environ.get("VIGIE_CLAIMS", "60000"))
CHANGES = 40
TEST_INS, LOCAL = "urn:oid:1.2.250.1.213.1.4.10", "urn:oid:1.2.840.99"
HOUR, DAY = 3600000, 86400000
BEGINNING = check.to_ms("2026-03-01T00:00:00Z")
MLLP = "gateway-0"  # the source of the plain listener on loopback


def token(ref):
    return "token-of-%s" % ref


# ---------------------------------------------------------------------------------------------- worlds

def matricule(chance):
    body = "%d%02d%02d75%03d%03d" % (chance.randint(1, 2), chance.randint(0, 99), chance.randint(1, 12), chance.randint(1, 990),
                                    chance.randint(1, 999))
    return body + "%02d" % (97 - int(body) % 97)


def make_world(chance):
    world = {"patients": {}, "devices": {}, "names": {}, "sources": {}}
    for number in range(16):
        ref = "P-%d" % number
        world["patients"][ref] = ("ORG-A" if number < 10 else "ORG-B",
                                  BEGINNING + chance.randint(5, 40) * DAY if number % 5 == 4 else None)
        organization = world["patients"][ref][0]
        world["names"][organization, LOCAL, "N-%d" % number] = ref
        world["names"][organization, TEST_INS, matricule(chance)] = ref
    for number in range(24):
        home = "ORG-A" if number < 15 else "ORG-B"
        spans, at = [], BEGINNING + chance.randint(0, 20) * DAY
        for _ in range(chance.choice((0, 1, 1, 2, 3))):
            ends = at + chance.randint(1, 15) * DAY
            spans.append((at, ends, chance.choice([ref for ref, (org, _) in world["patients"].items() if org == home])))
            at = ends + chance.choice((0, 0, 6 * HOUR))
        if spans and chance.random() < 0.6:
            spans[-1] = (spans[-1][0], None, spans[-1][2])
        world["devices"]["SN-%d" % number] = spans
    for number, (kind, organization) in enumerate([("system", "ORG-A"), ("system", "ORG-B")] + [("gateway", "ORG-A")] * 4
                                                  + [("gateway", "ORG-B")] * 2 + [("device", "ORG-A")] * 4 + [("patient", "ORG-A")] * 3):
        mine = ["SN-%d" % one for one in (range(15) if organization == "ORG-A" else range(15, 24))]
        devices = {"gateway": tuple(sorted(chance.sample(mine, 4))), "device": (mine[number % len(mine)],)}.get(kind, ())
        ref = MLLP if number == 2 else "%s-%d" % (kind, number)
        world["sources"][ref] = Source(ref, kind, organization, devices, "P-%d" % number if kind == "patient" and number < 10
                                       else "P-%d" % (number - 8) if kind == "patient" else None)
    return world


def assignment_row(device, span):
    begins, ends, patient = span
    return {"type": "assignment", "device": device, "patient": patient, "from": check.to_text(begins),
            "to": None if ends is None else check.to_text(ends)}


def source_row(source):
    row = dict(sites.system_row(source.ref, token(source.ref), source.organization), kind=source.kind)
    if source.devices:
        row["devices"] = list(source.devices)
    if source.kind == "patient":
        row["patient"] = source.patient
    return row


def rows_of(world):
    rows = sites.organization_rows("ORG-A") + sites.organization_rows("ORG-B") + [sites.rule_row(sites.SILENCE)]
    for ref, (organization, left) in world["patients"].items():
        rows.append(sites.patient_rows(ref, organization, enrolled_at="2026-01-01T00:00:00Z")[0])
        if left:
            rows.append({"type": "left", "patient": ref, "at": check.to_text(left), "reason": "test"})
    rows += [{"type": "identifier", "patient": patient, "system": system, "value": value}
             for (_, system, value), patient in world["names"].items()]
    for device, spans in world["devices"].items():
        rows.append({"type": "device", "ref": device, "kind": "scale"})
        rows += [assignment_row(device, span) for span in spans]
    return rows + [source_row(source) for source in world["sources"].values()]


# ---------------------------------------------------------------------------------------------- claims

def some_time(chance, spans):
    at = BEGINNING + chance.randint(-2 * DAY, 50 * DAY)
    if spans and chance.random() < 0.6:
        begins, ends, _ = chance.choice(spans)
        at = chance.choice((begins, ends or begins)) + chance.choice((0, -1, 1, -HOUR, -HOUR - 1, HOUR))
    return at


def make_claim(chance, world, source, by_name, needs_device=False):
    patients, devices = list(world["patients"]), list(world["devices"])
    device = patient = None
    if needs_device or chance.random() < (0.4 if source.kind in ("system", "patient") else 0.85):
        device = chance.choice(source.devices if source.devices and chance.random() < 0.75 else devices + ["SN-none"])
    claim = Claim(some_time(chance, world["devices"].get(device or (source.devices or ("",))[0])), device)
    if chance.random() > (0.85 if source.kind == "system" else 0.4):
        return claim
    patient = source.patient if source.patient and chance.random() < 0.5 else chance.choice(patients)
    if not by_name:
        claim.patient = patient if chance.random() < 0.95 else "P-none"
        return claim
    for _ in range(chance.choice((1, 1, 1, 2))):
        wanted = patient if chance.random() < 0.9 else chance.choice(patients)
        name = chance.choice([name[1:] for name, ref in world["names"].items() if ref == wanted] or [(LOCAL, "none")])
        claim.names.append(name if chance.random() < 0.95 else (LOCAL, "none"))
    return claim


def value_of(number):
    return round(30 + number / 10000, 4)


def message_of(claim, number):
    message = {"time": check.to_text(claim.at), "readings": [{"code": "29463-7", "value": value_of(number), "unit": "kg"}]}
    if claim.device:
        message["device"] = claim.device
    if claim.patient:
        message["patient"] = claim.patient
    return message


# ---------------------------------------------------------------------------------------------- doors
# Each sends claims, {number: claim}, as a source and tells {number: code}; None: taken. Codes that a door has only one
# word for are told by that word: `words` of the door.

class Json:
    by_name, needs_device, at_once, words = False, False, 50, {}

    def __init__(self, node, source):
        self.client = node.http(token(source.ref))

    def post(self, messages):
        return self.client.readings(messages)

    def send(self, claims):
        answer = self.post([message_of(claim, number) for number, claim in claims.items()])
        if answer.status == 401:
            return {number: "unauthenticated" for number in claims}
        refused = {item["message"]: item["code"] for item in answer.json()["rejected"]}
        first = list(claims)
        codes = {number: refused.get(index) for index, number in enumerate(first)}
        statuses = {None: 200, "forbidden": 403}
        if not [code for code in codes.values() if code is None]:
            base.equal(answer.status, statuses.get(codes[first[0]], 422), "status of the first rejection")
        else:
            base.equal(answer.status, 200, codes)
        return codes

    def close(self):
        self.client.close()


class Cbor(Json):
    def post(self, messages):
        return self.client.post("/v1/readings", cbor2.dumps(messages), "application/cbor")


class Fhir(Json):
    by_name, at_once = True, 25
    words = {"unknown-patient": "not-found", "unknown-device": "not-found", "not-assigned": "business-rule",
             "patient-mismatch": "business-rule"}

    def entry(self, claim, number):
        resource = sites.observation("-", "29463-7", value_of(number), "kg", check.to_text(claim.at))
        del resource["subject"]
        if claim.device:
            resource["device"] = {"identifier": {"value": claim.device}}
        if claim.names:
            resource["contained"] = [{"resourceType": "Patient", "id": "p", "identifier": [
                {"system": system, "value": value} for system, value in claim.names]}]
            resource["subject"] = {"reference": "#p"}
        return {"resource": resource, "request": {"method": "POST", "url": "Observation"}}

    def send(self, claims):
        answer = self.client.fhir({"resourceType": "Bundle", "type": "batch", "entry": [
            self.entry(claim, number) for number, claim in claims.items()]})
        if answer.status == 401:
            return {number: "unauthenticated" for number in claims}
        base.equal(answer.status, 200, answer)
        codes = {}
        for number, entry in zip(claims, answer.json()["entry"]):
            taken = entry["response"]["status"][:3] in ("200", "201")
            code = None if taken else entry["response"]["outcome"]["issue"][0]["code"]
            nobody = code == "invalid" and not claims[number].names  # the word of MES for "no subject"
            codes[number] = "not-found" if nobody else code
        return codes


class Hl7:
    """One message a claim, over plain MLLP, where everybody is the source MLLP."""
    by_name, needs_device, at_once, words = True, False, 20, {}

    def __init__(self, node, source):
        self.socket = socket.create_connection(("127.0.0.1", node.ports["mllp"]), 20)
        self.received = b""

    def message(self, claim, number):
        at = check.to_text(claim.at).replace("-", "").replace(":", "").replace("T", "")[:-1] + "+0000"
        names = "~".join("%s^^^&%s&ISO" % (value, system[len("urn:oid:"):]) for system, value in claim.names)
        lines = ["MSH|^~\\&|T|T|V|V|%s||ORU^R01^ORU_R01|%d|P|2.6|||AL|NE" % (at, number), "PID|||" + names,
                 "OBR|1|||T|||" + at, "OBX|1|NM|29463-7^W^LN|1|%s|kg^kg^UCUM|||||F|||%s||||%s" % (value_of(number), at, claim.device or "")]
        return b"\x0b" + "\r".join(lines).encode() + b"\r\x1c\r"

    def answer(self):
        while b"\x1c\r" not in self.received:
            part = self.socket.recv(65536)
            base.check(part, "MLLP ended")
            self.received += part
        whole, self.received = self.received.split(b"\x1c\r", 1)
        return whole.decode()

    def send(self, claims):
        self.socket.sendall(b"".join(self.message(claim, number) for number, claim in claims.items()))
        codes = {}
        for number in claims:
            text = self.answer()
            base.check("|%d" % number in text, text)
            found = re.search(r"\|E\|([a-z-]+)\^", text)
            codes[number] = None if "MSA|CA|" in text else found.group(1) if found else text
        return codes

    def close(self):
        self.socket.close()


class Mqtt:
    """MQTT 5, QoS 1; the topic names the device."""
    by_name, needs_device, at_once = False, True, 10
    words = dict({code: 0x87 for code in ("forbidden", "unknown-device", "unknown-patient", "unauthenticated")},
                 **{code: 0x83 for code in ("not-assigned", "patient-mismatch")})

    def __init__(self, node, source):
        self.wire = mqtt.Wire(node.ports["mqtt"])
        self.wire.open("claims-%s-%d" % (source.ref, id(self)), token(source.ref), version=5)

    def send(self, claims):
        packets = {index + 1: number for index, number in enumerate(claims)}
        for index, number in packets.items():
            message = message_of(claims[number], number)
            topic = "vigie/v1/%s/readings" % message.pop("device")
            self.wire.send(mqtt.publish(topic, json.dumps(message).encode(), number=index, version=5))
        codes = {}
        for _ in packets:
            answer = self.wire.next(mqtt.PUBACK)
            codes[packets[answer.number]] = answer.reason or None
        return codes

    def close(self):
        self.wire.close()


DOORS = [(Json, 10), (Cbor, 10), (Fhir, 8), (Hl7, 3), (Mqtt, 3)]


# ---------------------------------------------------------------------------------------------- the site

@functools.lru_cache(None)
def site():
    place = sites.Site("claims", start=False, settings={
        "listen": {"https": "off", "mllp": "127.0.0.1:0", "mllp_source": MLLP, "mqtt": "127.0.0.1:0"}})
    place.world, place.chance, place.numbers, place.told = make_world(random.Random(SEED)), random.Random(SEED + 1), 0, {}
    place.node.start()
    place.node.import_rows(rows_of(place.world))
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def take_numbers(count):
    first = site().numbers + 1
    site().numbers += count
    return range(first, first + count)


def stored():
    """{number: [patient]} of all rows."""
    site().node.wait_drained("postgres")
    found = {}
    for value, ref in site().cluster.query("SELECT r.value, p.ref FROM vigie.reading r JOIN vigie.patient p USING (patient_id)",
                                           None, "vigie"):
        found.setdefault(round((value - 30000000) / 100), []).append(ref)
    return found


def judged(door, world, source, claim):
    code, patient = judge(world, source, claim)
    return door.words.get(code, code), patient


def test_a_world_that_stands():
    node, world, chance = site().node, site().world, site().chance
    doors = [door for door, weight in DOORS for _ in range(weight)]
    expected, faults, seen, by_door = {}, [], {}, {}
    while len(expected) < STANDING:
        door = chance.choice(doors)
        source = world["sources"][MLLP] if door is Hl7 else chance.choice(list(world["sources"].values()))
        line = door(node, source)
        for _ in range(4):
            claims = {number: make_claim(chance, world, source, door.by_name, door.needs_device)
                      for number in take_numbers(door.at_once)}
            for number, found in line.send(claims).items():
                expected[number] = judged(door, world, source, claims[number])
                seen[expected[number][0]] = seen.get(expected[number][0], 0) + 1
                by_door[door.__name__] = by_door.get(door.__name__, 0) + 1
                if found != expected[number][0]:
                    faults.append((door.__name__, source, claims[number], "found", found, "expected", expected[number]))
        line.close()
    print("%d claims, %s; %s" % (len(expected), by_door, seen))
    base.equal(faults[:5], [], len(faults), "answers are not the evaluator's, seed", SEED)
    rows = stored()
    wrong = [(number, rows.get(number), patient) for number, (_, patient) in expected.items()
             if rows.get(number) != ([patient] if patient else None)]
    base.equal(wrong[:5], [], len(wrong), "rows are not the evaluator's, seed", SEED)
    base.check(min(seen.get(code, 0) for code in (None, "forbidden", "not-assigned", "patient-mismatch")) > len(expected) / 200, seen)


# ---------------------------------------------------------------------------------------------- while it changes

class Sender(threading.Thread):
    """Claims through one door until told to stop; what was answered, with the versions that may have been in force."""

    def __init__(self, number, history):
        super().__init__(daemon=True)
        self.number, self.history, self.stopping, self.told, self.fault = number, history, False, [], None

    def run(self):
        try:
            self.work(random.Random(SEED * 100 + self.number))
        except Exception as error:  # the thread's end is judged by whoever waits for it
            self.fault = repr(error)

    def work(self, chance):
        node = site().node
        doors = [door for door, _ in DOORS]
        while not self.stopping:
            door = doors[(self.number + len(self.told)) % len(doors)]
            world = self.history[-1][1]
            source = world["sources"][MLLP if door is Hl7 else chance.choice(list(world["sources"]))]
            line = door(node, source)
            with LOCK:
                numbers = take_numbers(10)
            claims = {number: make_claim(chance, world, source, door.by_name, door.needs_device) for number in numbers}
            began = time.monotonic()
            codes = line.send(claims)
            self.told.append((door, source.ref, claims, codes, began, time.monotonic()))
            line.close()


LOCK = threading.Lock()


def change(chance, world):
    """(rows, the world after them): what an operator does on a day."""
    after = copy.deepcopy(world)
    what = chance.randrange(5)
    if what == 0:  # a device is taken away, and given to somebody else a little later
        device = chance.choice([one for one, spans in world["devices"].items() if spans and spans[-1][1] is None] or ["SN-0"])
        spans = after["devices"][device]
        if spans and spans[-1][1] is None:
            ends = spans[-1][0] + chance.randint(1, 40) * DAY
            home = world["patients"][spans[-1][2]][0]
            other = chance.choice([ref for ref, (org, _) in world["patients"].items() if org == home])
            spans[-1] = (spans[-1][0], ends, spans[-1][2])
            spans.append((ends, None, other))
            return [assignment_row(device, span) for span in spans[-2:]], after
    if what in (0, 1):  # a device of nobody's goes to somebody of the organisation whose it is
        device = chance.choice([one for one, spans in world["devices"].items() if not spans] or ["SN-0"])
        if not world["devices"][device]:
            home = "ORG-A" if int(device[3:]) < 15 else "ORG-B"
            span = (BEGINNING + chance.randint(0, 30) * DAY, None,
                    chance.choice([ref for ref, (org, _) in world["patients"].items() if org == home]))
            after["devices"][device] = [span]
            return [assignment_row(device, span)], after
    if what == 2:
        ref = chance.choice([ref for ref, (_, left) in world["patients"].items() if left is None])
        left = BEGINNING + chance.randint(10, 50) * DAY
        after["patients"][ref] = (world["patients"][ref][0], left)
        return [{"type": "left", "patient": ref, "at": check.to_text(left), "reason": "test"}], after
    if what == 3:
        ref = chance.choice(list(world["patients"]))
        value = "M-%d" % len(world["names"])
        after["names"][world["patients"][ref][0], LOCAL, value] = ref
        return [{"type": "identifier", "patient": ref, "system": LOCAL, "value": value}], after
    ref = chance.choice([ref for ref, source in world["sources"].items() if source.kind == "gateway"])
    source = world["sources"][ref]
    mine = ["SN-%d" % one for one in (range(15) if source.organization == "ORG-A" else range(15, 24))]
    after["sources"][ref] = Source(ref, "gateway", source.organization, tuple(sorted(chance.sample(mine, 4))))
    return [source_row(after["sources"][ref])], after


def in_force(history, began, ended):
    """The worlds that may have been in force at some moment of [began, ended]: each from when its change was asked for, until
    the next one was answered."""
    return [world for index, (asked, world, _) in enumerate(history)
            if asked <= ended and (index + 1 == len(history) or history[index + 1][2] >= began)]


def test_while_rights_change():
    chance, node = site().chance, site().node
    history = [(0, site().world, 0)]  # asked, world, answered
    senders = [Sender(number, history) for number in range(3)]
    for sender in senders:
        sender.start()
    refused = 0
    for _ in range(CHANGES):
        rows, after = change(chance, history[-1][1])
        asked = time.monotonic()
        path = os.path.join(node.directory, "change.ndjson")
        with open(path, "w") as file:
            file.write("\n".join(json.dumps(row) for row in rows) + "\n")
        status, _, errors = node.ctl("import", path, expect=None)
        base.check(status in (0, 65), rows, errors)
        refused += status == 65  # would change the owner of readings that were received: nothing changed
        if status == 0:
            history.append((asked, after, time.monotonic()))
    for sender in senders:
        sender.stopping = True
    for sender in senders:
        sender.join(30)
        base.check(sender.fault is None and not sender.is_alive(), sender.fault)
    rows, faults, count, decided = stored(), [], 0, 0
    for sender in senders:
        for door, ref, claims, codes, began, ended in sender.told:
            worlds = in_force(history, began, ended)
            for number, claim in claims.items():
                may = [judged(door, world, world["sources"][ref], claim) for world in worlds]
                count, decided = count + 1, decided + (len(set(may)) == 1)
                row = rows.get(number, [None])
                if (codes[number], row[0]) not in may or len(row) > 1:
                    faults.append((door.__name__, ref, claim, codes[number], row, "may", may))
    print("%d claims while %d changes came into force and %d were refused; %d had one right answer" % (count, len(history) - 1, refused,
                                                                                                   decided))
    base.equal(faults[:5], [], len(faults), "of", count, "seed", SEED)
    base.check(len(history) > CHANGES / 4 and decided > count / 2, len(history), refused, decided, count)
