"""kill -9 under MQTT and MLLP: between PUBREC and PUBREL, before PUBACK, before an acknowledgement of HL7, and at random
moments under load. Clients do as the protocols say: what was not acknowledged is sent again, with the same packet
identifier or control id. Nothing acknowledged is lost, nothing is doubled: the rows against the clients' own record.

`tests/system/test_kill_mqtt.py KILLS [SEED]` is the campaign: a table for tests/campaigns/kill.md."""
import functools
import json
import os
import random
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
from tests.harness import base, campaign, check, hl7v2, mqtt, site as sites  # noqa: E402

KILLS = int(os.environ.get("KILLS", "12"))
SEED = os.environ.get("SEED", "1")
KILLS_A_NODE = 100
COLUMNS = ("sent", "sent again", "acknowledged", "stored")
TOKEN = "token-of-the-gateway"
SENDERS = [("mqtt", 4, 1), ("mqtt", 4, 2), ("mqtt", 5, 1), ("mqtt", 5, 2), ("mllp", 0, 0), ("mllp", 0, 0)]
WINDOW = 8
LATER = 0x97
NOT_NOW = ("found the end", "CONNACK: found 3,", "CONNACK: found 136,")  # starting: server unavailable


def new_site(name):
    """The same ports after every start."""
    listen = {key: "127.0.0.1:%d" % base.free_port() for key in ("mqtts", "mqtt", "mllp", "admin")}
    made = sites.Site(name, settings={
        "listen": dict(listen, https="off", http="off", mllp_source="monitor"),
        "journal": {"segment_size": "1M", "snapshot_bytes": "64k", "retain": "1s"}})
    rows = sites.organization_rows() + [sites.rule_row(sites.SILENCE), sites.system_row("monitor", "unused")]
    for number in range(len(SENDERS)):
        rows += sites.patient_rows("K-%d" % number)
        rows += [{"type": "identifier", "patient": "K-%d" % number, "system": "urn:oid:2.999.1", "value": "K-%d" % number}]
    made.node.import_rows(rows + [sites.gateway_row("gw", TOKEN, ["D-K-%d" % number for number in range(len(SENDERS))])])
    return made


@functools.lru_cache(None)
def site():
    return new_site("kill-mqtt")


def tear_down():
    if site.cache_info().currsize:
        site().close()


def stored(place):
    """{(patient, measured_at, value)}; fails when one is there twice."""
    place.node.wait_drained("postgres")
    rows = place.cluster.query("""SELECT p.ref, r.measured_at, r.value FROM vigie.reading r
        JOIN vigie.patient p USING (patient_id)""", database="vigie")
    names = [(ref, check.to_ms(at), int(value)) for ref, at, value in rows]
    base.equal(len(names), len(set(names)), "one row a reading")
    return set(names)


# ---------------------------------------------------------------------------------------------- one by one

START = int(time.time() * 1000) - 48 * 3600 * 1000
_second = [0]


def new_reading(patient="K-0"):
    """Its name in the tables, and its JSON."""
    _second[0] += 1
    name = patient, START + _second[0] * 1000, (60 + _second[0]) * 1000000
    return name, as_json(name)


def as_json(name):
    return json.dumps({"time": check.to_text(name[1]), "readings": [
        {"code": "29463-7", "value": name[2] / 1000000, "unit": "kg"}]}).encode()


def topic_of(patient):
    return "vigie/v1/D-%s/readings" % patient


def kill_and_start(node):
    node.kill()
    node.start()


def open_again(name, version):
    wire = mqtt.Wire(site().node.ports["mqtt"])
    more = {"properties": b"\x11\0\0\x0e\x10"} if version == 5 else {}
    present = wire.open(name, TOKEN, version, clean=False, **more)
    return wire, present


def test_between_pubrec_and_pubrel():
    for version in (4, 5):
        client = "rec-%d" % version
        name, payload = new_reading()
        wire, present = open_again(client, version)
        base.equal(present, False, "a new session")
        message = mqtt.publish(topic_of("K-0"), payload, 2, 77, version=version)
        wire.send(message)
        base.equal(wire.next(mqtt.PUBREC).number, 77)
        kill_and_start(site().node)
        wire.close()
        base.check(name in stored(site()), "what PUBREC promised is there, version", version)
        wire, present = open_again(client, version)
        base.equal(present, True, "the session is known after kill -9")
        if version == 4:  # PUBREC was read: PUBREL goes on
            wire.send(mqtt.acknowledge(mqtt.PUBREL, 77))
            base.equal(wire.next(mqtt.PUBCOMP).number, 77)
        else:  # PUBREC was lost on the way: PUBLISH again, then the end, then an end for nothing
            again = mqtt.publish(topic_of("K-0"), payload, 2, 77, again=True, version=5)
            wire.send(again)
            told = wire.next(mqtt.PUBREC)
            base.equal((told.number, told.reason < 0x80), (77, True))
            wire.send(mqtt.acknowledge(mqtt.PUBREL, 77), mqtt.acknowledge(mqtt.PUBREL, 78))
            first, second = wire.next(mqtt.PUBCOMP), wire.next(mqtt.PUBCOMP)
            base.equal([(one.number, one.reason) for one in (first, second)], [(77, 0), (78, 0x92)])
        wire.close()
        base.check(name in stored(site()), "once")


def test_before_puback():
    """Killed while the message is on its way in: sent again as a duplicate, stored once."""
    for version, wait in ((4, 0), (5, 0.0005), (4, 0.002), (5, 0.01)):
        client = "ack-%d" % version
        name, payload = new_reading()
        wire, _ = open_again(client, version)
        wire.send(mqtt.publish(topic_of("K-0"), payload, 1, 5, version=version))
        time.sleep(wait)
        kill_and_start(site().node)
        wire.close()
        wire, _ = open_again(client, version)
        wire.send(mqtt.publish(topic_of("K-0"), payload, 1, 5, again=True, version=version))
        told = wire.next(mqtt.PUBACK)
        base.equal((told.number, told.reason < 0x80), (5, True))
        wire.close()
        base.check(name in stored(site()), "stored")


def test_before_an_acknowledgement_of_hl7():
    for number, wait in enumerate((0, 0.002, 0.01)):
        name, _ = new_reading()
        message = hl7v2.weight("KILL-%d" % number, name[1], name[2] // 1000000, who="K-0")
        wire = hl7v2.Wire(site().node.ports["mllp"])
        wire.send(message)
        time.sleep(wait)
        kill_and_start(site().node)
        wire.close()
        with hl7v2.Wire(site().node.ports["mllp"]) as wire:
            answer = wire.ask(message)
            base.equal((answer.code, answer.control), ("CA", "KILL-%d" % number))
        base.check(name in stored(site()), "stored")


# ---------------------------------------------------------------------------------------------- under load

class Sender(threading.Thread):
    """Sends readings of one patient, one a message; remembers what it sent and what was acknowledged."""

    def __init__(self, node, number, stopping):
        super().__init__(daemon=True)
        self.node, self.patient, self.stopping = node, "K-%d" % number, stopping
        self.begin = int(time.time() * 1000) - 20 * 24 * 3600 * 1000
        self.count, self.again = 0, 0
        self.sent, self.acknowledged, self.refused = set(), set(), []
        self.waiting = {}  # packet identifier or control id: name

    def make(self):
        self.count += 1
        name = self.patient, self.begin + self.count * 1000, (50000 + self.count % 9000) * 1000
        self.sent.add(name)
        return name

    def run(self):
        while not self.stopping.is_set():
            try:
                self.speak()
            except (OSError, base.Failure, ValueError) as error:
                if isinstance(error, base.Failure) and not any(words in str(error) for words in NOT_NOW):
                    self.refused.append(str(error))
            time.sleep(0.02)

    def done(self, key):
        name = self.waiting.pop(key, None)
        if name is not None:
            self.acknowledged.add(name)


class MqttSender(Sender):
    def __init__(self, node, number, stopping, version, quality):
        super().__init__(node, number, stopping)
        self.version, self.quality, self.next_number = version, quality, 0
        self.released = {}  # packet identifiers after PUBREC

    def message(self, number, again=False):
        return mqtt.publish(topic_of(self.patient), as_json(self.waiting[number]), self.quality, number, again, self.version)

    def speak(self):
        with mqtt.Wire(self.node.ports["mqtt"], timeout=10) as wire:
            more = {"properties": b"\x11\0\0\x0e\x10"} if self.version == 5 else {}
            wire.open("load-" + self.patient, TOKEN, self.version, clean=False, **more)
            self.again += len(self.waiting)
            wire.send(*[self.message(number, True) for number in self.waiting])
            wire.send(*[mqtt.acknowledge(mqtt.PUBREL, number) for number in self.released])
            while not (self.stopping.is_set() and not self.waiting and not self.released):
                while len(self.waiting) + len(self.released) < WINDOW and not self.stopping.is_set():
                    self.next_number = self.next_number % 60000 + 1
                    if self.next_number in self.waiting or self.next_number in self.released:
                        continue
                    self.waiting[self.next_number] = self.make()
                    wire.send(self.message(self.next_number))
                self.hear(wire, wire.next())

    def hear(self, wire, told):
        if told is None:
            raise OSError("ended")
        if told.kind in (mqtt.PUBACK, mqtt.PUBREC) and told.reason >= 0x80:
            if told.reason != LATER:
                self.refused.append(repr(told))
                self.waiting.pop(told.number, None)
                return
            time.sleep(0.05)
            wire.send(self.message(told.number))
        elif told.kind == mqtt.PUBACK:
            self.done(told.number)
        elif told.kind == mqtt.PUBREC:
            self.done(told.number)
            self.released[told.number] = True
            wire.send(mqtt.acknowledge(mqtt.PUBREL, told.number))
        elif told.kind == mqtt.PUBCOMP:
            self.released.pop(told.number, None)
        else:
            self.refused.append(repr(told))


class MllpSender(Sender):
    def message(self, control):
        patient, at, value = self.waiting[control]
        return hl7v2.weight(control, at, "%.3f" % (value / 1000000), who=patient)

    def speak(self):
        with hl7v2.Wire(self.node.ports["mllp"], timeout=10) as wire:
            self.again += len(self.waiting)
            wire.send(*[self.message(control) for control in self.waiting])
            while not (self.stopping.is_set() and not self.waiting):
                while len(self.waiting) < 4 and not self.stopping.is_set():
                    name = self.make()
                    control = "%s-%d" % (self.patient, self.count)
                    self.waiting[control] = name
                    wire.send(self.message(control))
                answer = wire.next()
                if answer is None:
                    raise OSError("ended")
                if answer.code == "CA":
                    self.done(answer.control)
                elif answer.code == "CR":
                    time.sleep(0.05)
                    wire.send(self.message(answer.control))
                else:
                    self.refused.append(repr(answer))
                    self.waiting.pop(answer.control, None)


def senders_of(place, stopping):
    made = []
    for number, (kind, version, quality) in enumerate(SENDERS):
        made.append(MqttSender(place.node, number, stopping, version, quality) if kind == "mqtt"
                    else MllpSender(place.node, number, stopping))
    return made


def under_load(place, kills, seed):
    """Kills the node again and again; returns the figures, all of which held."""
    dice, stopping = random.Random(seed), threading.Event()
    senders = senders_of(place, stopping)
    for sender in senders:
        sender.start()
    for _ in range(kills):
        time.sleep(dice.choice((0.05, 0.3, 0.6, 1.2)) * dice.random() + 0.02)
        place.node.kill()
        place.node.spawn()
        if dice.random() < 0.2:
            time.sleep(dice.random() * 0.3)  # the next kill hits the recovery
        else:
            place.node.wait_ready()
    place.node.wait_ready()
    time.sleep(0.5)
    stopping.set()
    for sender in senders:
        sender.join(30)
        base.check(not sender.is_alive(), "a sender ended, waiting for", sender.waiting)
        base.equal(sender.refused, [], "refused", sender.patient)
        base.check(sender.acknowledged, "something was acknowledged:", sender.patient)
        base.equal(sender.acknowledged, sender.sent, "in the end everything is acknowledged") if not sender.waiting else None
    rows = stored(place)
    acknowledged = set().union(*(sender.acknowledged for sender in senders))
    sent = set().union(*(sender.sent for sender in senders))
    refs = {sender.patient for sender in senders}
    ours = {name for name in rows if name[0] in refs and name[1] >= senders[0].begin - 60000 and name[1] < START}
    base.check(acknowledged <= rows, len(acknowledged - rows), "acknowledged and not stored:", sorted(acknowledged - rows)[:5])
    base.check(ours <= sent, len(ours - sent), "stored and never sent:", sorted(ours - sent)[:5])
    base.check(any(sender.again for sender in senders), "something was sent again")
    place.node.ctl("journal", "verify")
    return {"sent": len(sent), "sent again": sum(sender.again for sender in senders), "acknowledged": len(acknowledged),
            "stored": len(ours)}


def test_at_random_under_load():
    figures = under_load(site(), KILLS, SEED)
    print("        seed %s, %d kills: %s" % (SEED, KILLS, figures))


def one_node(kills, seed):
    with new_site("kill-mqtt-campaign") as place:
        return under_load(place, kills, seed)


if __name__ == "__main__":
    campaign.kills(COLUMNS, int(sys.argv[1]), KILLS_A_NODE, sys.argv[2] if len(sys.argv) > 2 else SEED, one_node)
