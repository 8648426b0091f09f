"""MQTT, byte by byte: what each version is answered, what ends a connection and how it is told, sessions and errors."""
import json
import os
import signal
import socket
import struct
import time

from tests.harness import authority, base, check, mqtt
from tests.harness.site import (SILENCE, Site, gateway_row, message, organization_rows, patient_rows, rule_row,
                                system_row)

GATEWAY, SYSTEM, OTHER = "tok-gateway", "tok-system", "tok-other"
TOPIC = "vigie/v1/D-P-1/readings"
_site, _pairs = [], {}


def site():
    if not _site:
        made = authority.Authority(base.fresh_directory(os.path.join(base.BUILD, "test", "mqtt-ca")))
        _pairs.update((name, made.issue(name)) for name in ("gw-cert.example", "unknown.example"))
        _site.append(Site("mqtt", settings={
            "tls": {"client_ca": made.certificate},
            "listen": {"mqtts": "127.0.0.1:0", "mqtt": "127.0.0.1:0", "message_timeout": "2s",
                       "first_byte_timeout": "2s", "keepalive_max": "10m", "session_max": "1h"},
            "node": {"loops": "2"}}))
        _site[0].node.import_rows(
            organization_rows() + organization_rows("ORG-B") + [rule_row(SILENCE)] + patient_rows("P-1")
            + patient_rows("P-2") + patient_rows("P-9", organization="ORG-B")
            + [gateway_row("gw", GATEWAY, ["D-P-1"]), system_row("sys", SYSTEM), system_row("other", OTHER, "ORG-B"),
               {"type": "source", "ref": "cert", "kind": "device", "devices": ["D-P-2"], "organization": "ORG-A",
                "certificate_cn": "gw-cert.example"}])
    return _site[0]


def tear_down():
    for one in _site:
        one.close()


def wire(version=5, name=None, token=GATEWAY, **more):
    found = mqtt.Wire(site().node.ports["mqtt"])
    if name is not None:
        found.open(name, token, version, **more)
    return found


_value = [0]


def reading(code="29463-7", unit="kg", **more):
    """A reading that no other test has sent."""
    _value[0] += 1
    at = check.to_text(int(time.time() * 1000) - 1000 * _value[0])
    body = dict(message("", at, (code, 60 + _value[0] / 100, unit)), **more)
    return json.dumps({key: value for key, value in body.items() if value != ""}).encode()


def bad():
    return reading(unit="mmol/L")


def metric(name):
    return site().node.metrics()[name]


def rows(table):
    site().node.wait_drained("postgres")
    return int(site().cluster.query("SELECT count(*) FROM vigie.%s" % table, database="vigie")[0][0])


def at_end(wire_, reason=None):
    """The connection ends, after a DISCONNECT of that reason if there is one."""
    found = wire_.next()
    if reason is None:
        base.check(found is None, "the end", "expected, found", found)
        return
    base.equal((found.kind, found.body[0]), (mqtt.DISCONNECT, reason), "how it ends")
    base.check(wire_.next() is None, "the end behind DISCONNECT")


def reason_text(packet):
    """The Reason String of an acknowledgement."""
    body = packet.body[3:]
    return body[4:].decode() if len(body) > 4 and body[1] == 0x1F else None


# ------------------------------------------------------------------------------------------ CONNECT

def connack(data, version=4):
    with mqtt.Wire(site().node.ports["mqtt"]) as peer:
        peer.send(data)
        found = peer.next()
        if found is None:
            return None
        base.equal(found.kind, mqtt.CONNACK)
        return found.body[1]


def test_connect_is_judged():
    connect = mqtt.connect
    for expected, data in [
            (0, connect("a", GATEWAY)), (0, connect("a", GATEWAY, 5)),
            (0, mqtt.packet(1, mqtt.text("MQTT") + b"\x84\xc2\0\x3c" + mqtt.text("bridge") + mqtt.text("u")
                            + mqtt.text(GATEWAY))),
            (0, mqtt.packet(1, mqtt.text("MQTT") + b"\5\x82\0\x3c\0" + mqtt.text("user is the token")
                            + mqtt.text(GATEWAY))),
            (5, connect("a", "no such token")), (0x87, connect("a", "no such token", 5)),
            (5, connect("a", None)), (0x87, connect("a", None, 5)),
            (1, mqtt.packet(1, mqtt.text("MQIsdp") + b"\3\2\0\x3c" + mqtt.text("a"))),
            (1, mqtt.packet(1, mqtt.text("MQTT") + b"\3\2\0\x3c" + mqtt.text("a"))),
            (0x84, mqtt.packet(1, mqtt.text("MQTT") + b"\6\2\0\x3c\0" + mqtt.text("a"))),
            (2, connect("", GATEWAY, clean=False)), (0, connect("", GATEWAY, clean=True)),
            (0, connect("", GATEWAY, 5, clean=False)),
            (2, connect("n" * 129, GATEWAY)), (0x85, connect("n" * 129, GATEWAY, 5)),
            (0x8C, connect("a", GATEWAY, 5, properties=b"\x15" + mqtt.text("SCRAM"))),
            (0x81, connect("a", GATEWAY, 5, properties=b"\x23\0\1")),
            (0x82, connect("a", GATEWAY, 5, properties=b"\x21\0\0")),
            (None, mqtt.packet(1, mqtt.text("MQTX") + b"\4\2\0\x3c" + mqtt.text("a"))),
            (None, mqtt.packet(1, mqtt.text("MQTT") + b"\4\3\0\x3c" + mqtt.text("a"))),
            (None, connect("x" * 1100, GATEWAY)), (None, mqtt.packet(12)), (None, b"GET / HTTP/1.1\r\n\r\n")]:
        base.equal(connack(data), expected, data[:40])


def properties_of(body):
    """Of a CONNACK: {id: value} of those that we send."""
    sizes, found, at = {0x21: 2, 0x27: 4, 0x25: 1, 0x29: 1, 0x2A: 1, 0x11: 4, 0x13: 2}, {}, 3
    while at < len(body):
        number, at = body[at], at + 1
        size = sizes.get(number) or 2 + struct.unpack(">H", body[at:at + 2])[0]
        found[number], at = body[at:at + size], at + size
    return found


def test_connack_says_what_holds():
    with wire() as peer:
        peer.send(mqtt.connect("", GATEWAY, 5, keep_alive=0, properties=b"\x11\xff\xff\xff\xff"))
        found = properties_of(peer.next(mqtt.CONNACK).body)
        base.equal(struct.unpack(">H", found[0x13])[0], 600, "Server Keep Alive")
        base.equal(struct.unpack(">I", found[0x11])[0], 3600, "Session Expiry Interval")
        base.equal([found[0x25], found[0x29], found[0x2A]], [b"\0"] * 3, "retain, identifiers, shared")
        base.check(struct.unpack(">I", found[0x27])[0] > 1 << 20, "Maximum Packet Size")
        base.check(found[0x12][2:].startswith(b"vigie-"), "Assigned Client Identifier")
        base.check(0x24 not in found, "QoS 2 is served: Maximum QoS is not said")
    with wire() as peer:
        peer.send(mqtt.connect("x", GATEWAY, 5, keep_alive=60, properties=b"\x11\0\0\0\5"))
        found = properties_of(peer.next(mqtt.CONNACK).body)
        base.check(0x13 not in found and 0x11 not in found and 0x12 not in found, found)


# ------------------------------------------------------------------------------------------ PUBLISH

def test_every_quality_of_both_versions():
    before = rows("reading")
    for version in (4, 5):
        with wire(version, "q%d" % version) as peer:
            peer.send(mqtt.publish(TOPIC, reading(), 0, version=version),
                      mqtt.publish(TOPIC, reading(), 1, 7, version=version),
                      mqtt.publish(TOPIC, reading(), 2, 8, version=version))
            base.equal([peer.next(mqtt.PUBACK).body, peer.next(mqtt.PUBREC).body], [b"\0\7", b"\0\x08"])
            peer.send(mqtt.acknowledge(mqtt.PUBREL, 8))
            base.equal(peer.next(mqtt.PUBCOMP).body, b"\0\x08")
            peer.send(mqtt.acknowledge(mqtt.PUBREL, 8))
            base.equal(peer.next(mqtt.PUBCOMP).body, b"\0\x08" + (b"\x92" if version == 5 else b""), "unknown by now")
            peer.send(mqtt.packet(mqtt.PINGREQ))
            peer.next(mqtt.PINGRESP)
    base.equal(rows("reading") - before, 6)


def test_sent_again_is_stored_once():
    before = rows("reading")
    payload = reading()
    with wire(4, "dup") as peer:
        for again in (False, True, True):
            peer.send(mqtt.publish(TOPIC, payload, 1, 3, again=again))
            peer.next(mqtt.PUBACK)
        for again in (False, True):
            peer.send(mqtt.publish(TOPIC, payload, 2, 4, again=again))
            peer.next(mqtt.PUBREC)
        peer.send(mqtt.acknowledge(mqtt.PUBREL, 4))
        peer.next(mqtt.PUBCOMP)
    base.equal(rows("reading") - before, 1)


def observation_bundle():
    at = check.to_text(int(time.time() * 1000))
    one = {"resourceType": "Observation", "status": "final", "effectiveDateTime": at, "subject": {"reference": "Patient/P-1"},
           "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
           "valueQuantity": {"value": 71, "system": "http://unitsofmeasure.org", "code": "/min"}}
    return one, {"entry": [{"resource": dict(one, valueQuantity=dict(one["valueQuantity"], value=72),
                                             effectiveDateTime=check.to_text(int(time.time() * 1000) - 5000)),
                            "request": {"method": "POST", "url": "Observation"}}],
                 "type": "transaction", "resourceType": "Bundle"}


def test_payloads_of_every_kind():
    before = rows("reading")
    observation, bundle = (json.dumps(one).encode() for one in observation_bundle())
    at = int(time.time() * 1000) - 60000
    cbor = (b"\xa2\x03\x1b" + struct.pack(">Q", at) + b"\x04\x81\xa3\x05\x6729463-7\x06\x18\x48\x07\x62kg")
    with wire(5, "kinds", SYSTEM) as peer:
        for number, (topic, payload) in enumerate([
                ("vigie/v1/D-P-1/fhir", observation), ("vigie/v1/D-P-1/fhir", bundle),
                (TOPIC, b" \n" + reading()), (TOPIC, b"\xef\xbb\xbf" + reading()),
                (TOPIC, b"[" + reading() + b"," + reading() + b"]"), (TOPIC, cbor)], 1):
            peer.send(mqtt.publish(topic, payload, 1, number, version=5))
            base.equal(peer.next(mqtt.PUBACK).body, struct.pack(">H", number), payload)
    base.equal(rows("reading") - before, 7)


def test_refusals_by_reason():
    at = check.to_text(int(time.time() * 1000))
    with wire(5, "reasons") as peer:
        for reason, word, topic, payload in [
                (0x99, "unit", TOPIC, bad()), (0x99, "JSON", TOPIC, b"{"),
                (0x99, "device is not that of the topic", TOPIC, reading(device="D-P-2")),
                (0x87, "device", "vigie/v1/D-P-2/readings", reading()),
                (0x87, "device", "vigie/v1/D-P-9/readings", reading()),
                (0x87, "device", "vigie/v1/nowhere/readings", reading()),
                (0x87, "topic", "vigie/v1/D-P-1/other", reading()), (0x87, "topic", "elsewhere", b"x"),
                (0x87, "topic", "vigie/v1//readings", reading()),
                (0x83, "patient", TOPIC, reading(patient="P-2")),
                (0x99, "", "vigie/v1/D-P-1/fhir", b"[]"),
                (0x99, "readings", TOPIC, json.dumps({"time": at, "readings": []}).encode())]:
            for kind, qos in ((mqtt.PUBACK, 1), (mqtt.PUBREC, 2)):
                peer.send(mqtt.publish(topic, payload, qos, 9, version=5))
                found = peer.next(kind)
                base.equal(found.reason, reason, topic, payload, found)
                base.check(word in reason_text(found), word, "in", found)
        peer.send(mqtt.acknowledge(mqtt.PUBREL, 9))
        base.equal(peer.next(mqtt.PUBCOMP).reason, 0x92, "a refused message waits for no PUBREL")
        half = json.loads(reading())
        half["readings"].append(dict(half["readings"][0], code="8867-4"))
        peer.send(mqtt.publish(TOPIC, json.dumps(half).encode(), 1, 10, version=5))
        base.equal(peer.next(mqtt.PUBACK).reason, 0, "half of it is kept")


def test_a_client_that_wants_no_words():
    with wire(5, "curt", properties=b"\x17\0") as peer:
        peer.send(mqtt.publish(TOPIC, bad(), 1, 1, version=5))
        base.equal(peer.next(mqtt.PUBACK).body, b"\0\1\x99")
    with wire(5, "small", properties=b"\x27\0\0\0\x20") as peer:
        peer.send(mqtt.publish(TOPIC, bad(), 1, 1, version=5))
        base.equal(peer.next(mqtt.PUBACK).body, b"\0\1\x99")


def test_a_sender_that_cannot_be_told():
    before, stored = rows("rejected"), rows("reading")
    for version, qos in ((4, 1), (4, 2), (4, 0), (5, 0)):
        with wire(version, "untold") as peer:
            peer.send(mqtt.publish(TOPIC, bad(), qos, 5, version=version), mqtt.packet(mqtt.PINGREQ))
            if qos:
                base.equal(peer.next().body, b"\0\5", "acknowledged")
            peer.next(mqtt.PINGRESP)
            half = json.loads(reading())
            half["readings"].append(dict(half["readings"][0], code="8867-4"))
            peer.send(mqtt.publish(TOPIC, json.dumps(half).encode(), qos, 6, version=version),
                      mqtt.publish(TOPIC, b"nonsense", qos, 7, version=version), mqtt.packet(mqtt.PINGREQ))
            for number in (b"\0\6", b"\0\7") if qos else ():
                base.equal(peer.next().body, number, "acknowledged")
            peer.next(mqtt.PINGRESP)
    base.wait_for("what was refused is kept", lambda: rows("rejected") - before == 12, 10)
    base.equal(rows("reading") - stored, 4, "what was good of it is stored")


def test_a_bridge_may_tell_its_state():
    for version in (4, 5):
        with wire(version, "bridge") as peer:
            peer.send(mqtt.publish("$SYS/broker/connection/north/state", b"1", 1, 2, version=version))
            base.equal(peer.next(mqtt.PUBACK).body, b"\0\2")


# ------------------------------------------------------------------------------------------ faults

def test_what_breaks_the_standard_ends_with_a_reason():
    publish = mqtt.publish
    for reason, data in [
            (0x82, mqtt.connect("again", GATEWAY, 5)), (0x81, mqtt.packet(0)), (0x82, mqtt.packet(2, b"\0\0\0")),
            (0x82, mqtt.packet(4, b"\0\1")), (0x81, mqtt.packet(3, b"\0\1t\0\1\0", 6)),
            (0x81, mqtt.packet(12, b"x")), (0x81, mqtt.packet(12, b"", 1)),
            (0x82, publish(TOPIC, b"{}", 1, 0, version=5)), (0x81, publish("a/+", b"{}", 1, 1, version=5)),
            (0x82, publish("", b"{}", 1, 1, version=5)), (0x81, publish("a\0", b"{}", 1, 1, version=5)),
            (0x81, publish(b"\xff", b"{}", 1, 1, version=5)),
            (0x94, publish(TOPIC, b"{}", 1, 1, version=5, properties=b"\x23\0\1")),
            (0x82, publish(TOPIC, b"{}", 1, 1, version=5, properties=b"\1\0\1\0")),
            (0x95, b"\x32\xff\xff\xff\x7f"), (0x95, b"\x32" + mqtt.varint((1 << 20) + 100)
                                              + publish(TOPIC, b"", 1, 1, version=5)[2:]),
            (0x81, b"\x32\x80\0"), (0x82, mqtt.packet(8, b"\0\1\0", 2)), (0x81, mqtt.packet(8, b"\0\1\0\0\1a\0", 0)),
            (0x8C, mqtt.packet(15)), (0x82, mqtt.packet(14, b"\0\5\x11\0\0\0\1"))]:
        with wire(5, "fault") as peer:
            peer.send(mqtt.packet(mqtt.PINGREQ), data)
            peer.next(mqtt.PINGRESP)
            at_end(peer, reason)
        with wire(4, "fault4") as peer:  # 3.1.1 knows one way to say it
            if reason in (0x8C, 0x94):
                continue
            peer.send(mqtt.packet(mqtt.PINGREQ), b"\xc1\0")
            peer.next(mqtt.PINGRESP)
            at_end(peer)


def test_foreign_topics_of_3_1_1_end_the_connection():
    for qos in (0, 1, 2):
        with wire(4, "foreign") as peer:
            peer.send(mqtt.publish(TOPIC, reading(), 1, 1), mqtt.publish("elsewhere", b"x", qos, 2))
            base.equal(peer.next(mqtt.PUBACK).body, b"\0\1", "what came before")
            at_end(peer)


def test_receive_maximum():
    with wire(5, "eager") as peer:
        for number in range(1, 33):
            peer.send(mqtt.publish(TOPIC, reading(), 2, number, version=5))
            base.equal(peer.next(mqtt.PUBREC).number, number)
        peer.send(mqtt.publish(TOPIC, reading(), 2, 32, again=True, version=5))
        base.equal(peer.next(mqtt.PUBREC).number, 32, "the same again is none more")
        peer.send(mqtt.acknowledge(mqtt.PUBREL, 1))
        base.equal(peer.next(mqtt.PUBCOMP).number, 1)
        peer.send(mqtt.publish(TOPIC, reading(), 2, 1, version=5))
        peer.next(mqtt.PUBREC)
        peer.send(mqtt.publish(TOPIC, reading(), 2, 33, version=5))
        at_end(peer, 0x93)


def test_large_messages():
    with wire(5, "large") as peer:
        body = reading()
        peer.send(mqtt.publish(TOPIC, body + b" " * ((1 << 20) - len(body)), 1, 1, version=5))
        base.equal(peer.next(mqtt.PUBACK).body, b"\0\1", "1 MiB")
        peer.send(mqtt.publish(TOPIC, body + b" " * ((1 << 20) + 1 - len(body)), 1, 2, version=5)[:4000])
        at_end(peer, 0x95)


# ------------------------------------------------------------------------------------------ overload

def refused_now(name, refusals):
    """What is sent while it cannot be kept: 5 is told 0x97, 3.1.1 is not acknowledged, QoS 0 is counted."""
    before = [metric("vigie_mqtt_unacknowledged_total"), metric("vigie_mqtt_dropped_total")]
    with wire(5, name + "5") as peer, wire(4, name + "4", SYSTEM) as old, wire(5, name + "0", SYSTEM) as none:
        refusals()
        peer.send(mqtt.publish(TOPIC, reading(), 1, 2, version=5))
        found = peer.next(mqtt.PUBACK)
        base.equal(found.reason, 0x97)
        base.check(reason_text(found), "with words", found)
        peer.send(mqtt.publish(TOPIC, reading(), 2, 3, version=5))
        base.equal(peer.next(mqtt.PUBREC).reason, 0x97)
        none.send(mqtt.publish(TOPIC, reading(), 0, version=5), mqtt.packet(mqtt.PINGREQ))
        none.next(mqtt.PINGRESP)
        old.send(mqtt.publish(TOPIC, reading(), 1, 4))
        at_end(old)
    after = [metric("vigie_mqtt_unacknowledged_total"), metric("vigie_mqtt_dropped_total")]
    base.equal([after[0] - before[0], after[1] - before[1]], [1, 1], "counted")


def reload(**listen):
    node = site().node
    kept = dict(node.settings["listen"])
    node.settings["listen"].update(listen)
    node.write_config()
    words = "in force on every loop"
    with open(node.log) as file:
        before = file.read().count(words)
    node.child.send_signal(signal.SIGHUP)

    def taken():
        with open(node.log) as file:
            return file.read().count(words) > before

    base.wait_for("reload", taken, 10, 0.01)
    node.settings["listen"] = kept
    node.write_config()


def test_over_quota():
    def use_up():
        reload(quota_messages="1")
        with wire(5, "first") as peer, wire(5, "first", SYSTEM) as other:
            for one in (peer, other):
                one.send(mqtt.publish(TOPIC, reading(), 1, 1, version=5))
                one.next(mqtt.PUBACK)
    try:
        refused_now("quota", use_up)
    finally:
        reload()


def test_a_full_disk():
    """A disk below its low water: nothing is taken, and nothing is acknowledged."""
    node = site().node
    node.settings["journal"]["low_water"] = "100000G"
    node.write_config()
    try:
        node.restart()
        refused_now("full", lambda: None)
    finally:
        node.settings["journal"]["low_water"] = "16M"
        node.write_config()
        node.restart()


# ------------------------------------------------------------------------------------------ deadlines

def test_deadlines():
    start = time.monotonic()
    with wire() as silent, wire(5, "slow") as slow, wire(5, "quiet", keep_alive=1) as quiet, \
            wire(5, "alive", keep_alive=2) as alive, wire(4, "none", keep_alive=0) as none:
        slow.send(mqtt.publish(TOPIC, reading(), 1, 1, version=5)[:-5])
        at_end(quiet, 0x8D)
        took = time.monotonic() - start
        base.check(1.4 < took < 3.2, "one and a half keep-alives of 1 s", took)
        at_end(silent)
        at_end(slow, 0x8D)
        base.check(time.monotonic() - start < 6, "nobody waits for the first or the rest of a packet for ever")
        for _ in range(4):
            alive.send(mqtt.packet(mqtt.PINGREQ))
            alive.next(mqtt.PINGRESP)
            time.sleep(1)
        alive.send(mqtt.packet(mqtt.PINGREQ))
        alive.next(mqtt.PINGRESP)
        none.send(mqtt.packet(mqtt.PINGREQ))
        none.next(mqtt.PINGRESP)


# ------------------------------------------------------------------------------------------ rights

def test_who_speaks_by_certificate():
    node = site().node

    def secured(name):
        return mqtt.Wire(node.ports["mqtts"], node.certificate, _pairs[name] if name else None)

    for version in (4, 5):
        with secured("gw-cert.example") as peer:
            peer.open("by-certificate", None, version)
            for topic, reason in (("vigie/v1/D-P-2/readings", 0), (TOPIC, 0x87 if version == 5 else 0)):
                peer.send(mqtt.publish(topic, reading(), 1, 1, version=version))
                base.equal(peer.next(mqtt.PUBACK).reason, reason, topic)
        with secured("gw-cert.example") as peer:  # with both the token decides
            peer.open("by-token", GATEWAY, version)
            peer.send(mqtt.publish(TOPIC, reading(), 1, 1, version=version))
            base.equal(peer.next(mqtt.PUBACK).reason, 0)
        for name, token in (("unknown.example", None), (None, None), ("gw-cert.example", "no such token")):
            with secured(name) as peer:
                peer.send(mqtt.connect("nobody", token, version))
                base.equal(peer.next(mqtt.CONNACK).body[1], 0x87 if version == 5 else 5, name, token)


def test_a_token_that_is_replaced_ends_its_connections():
    rows_of = [gateway_row("turns", "tok-before", ["D-P-1"])]
    site().node.import_rows(rows_of)
    with wire(5, "new", "tok-before") as new, wire(4, "old", "tok-before") as old:
        for version, peer in ((5, new), (4, old)):
            peer.send(mqtt.publish(TOPIC, reading(), 1, 1, version=version))
            base.equal(peer.next(mqtt.PUBACK).reason, 0)
        site().node.import_rows([gateway_row("turns", "tok-after", ["D-P-1"])])
        base.equal(connack(mqtt.connect("x", "tok-before", 5)), 0x87, "nobody comes in by it")
        before = rows("reading")
        for version, peer in ((5, new), (4, old)):
            peer.send(mqtt.publish(TOPIC, reading(), 1, 2, version=version))
            at_end(peer, 0x87 if version == 5 else None)
        base.equal(rows("reading"), before, "nothing of it is stored")
    base.equal(connack(mqtt.connect("x", "tok-after", 5)), 0)


# ------------------------------------------------------------------------------------------ sessions

def session(name, clean=False, token=GATEWAY, version=5, expiry=600):
    peer = wire()
    more = {"properties": b"\x11" + struct.pack(">I", expiry)} if version == 5 else {}
    return peer, peer.open(name, token, version, clean=clean, **more)


def test_sessions_live_and_end():
    for version in (4, 5):
        name = "life%d" % version
        peer, present = session(name, version=version)
        base.equal(present, False)
        peer.send(mqtt.publish(TOPIC, reading(), 2, 77, version=version))
        peer.next(mqtt.PUBREC)
        peer.close()
        peer, present = session(name, version=version)
        base.equal(present, True, "the session was kept")
        peer.send(mqtt.acknowledge(mqtt.PUBREL, 77))
        base.equal(peer.next(mqtt.PUBCOMP).reason, 0, "and with it what was under way")
        peer.close()
        peer, present = session(name, token=SYSTEM, version=version)
        base.equal(present, False, "another source's client of the same name is another client")
        peer.close()
        peer, present = session(name, clean=True, version=version)
        base.equal(present, False, "clean start")
        peer.send(mqtt.packet(mqtt.DISCONNECT, b"\0\5\x11\0\0\0\0" if version == 5 else b""))
        at_end(peer)
        peer.close()
        peer, present = session(name, version=version)
        base.equal(present, False, "it ended with the connection")
        peer.close()
    peer, _ = session("short", expiry=1)
    peer.close()
    time.sleep(2.1)
    base.equal(session("short")[1], False, "expired")


def test_taken_over():
    before = metric("vigie_mqtt_takeovers_total")
    first, _ = session("twice")
    for _ in range(6):  # some land on the other loop
        second, present = session("twice")
        base.equal(present, True)
        at_end(first, 0x8E)
        first = second
    stranger, _ = session("twice", token=SYSTEM)
    first.send(mqtt.packet(mqtt.PINGREQ))
    first.next(mqtt.PINGRESP)
    base.equal(metric("vigie_mqtt_takeovers_total") - before, 6)
    old, _ = session("old", version=4)
    session("old", version=4)
    at_end(old)


def test_sessions_survive_a_kill_and_a_restart():
    node = site().node
    peer, _ = session("survivor")
    peer.send(mqtt.publish(TOPIC, reading(), 1, 1, version=5))
    peer.next(mqtt.PUBACK)
    fleeting, _ = session("fleeting", clean=True, expiry=0)
    node.kill()
    node.start()
    base.equal(session("survivor")[1], True, "promised by CONNACK, so it was on the disk")
    base.equal(session("fleeting")[1], False)
    with open(os.path.join(node.state_dir, "mqtt-sessions"), "rb") as file:
        base.check(b"survivor" not in file.read(), "sealed")
    peer, _ = session("listener")
    peer.send(mqtt.subscribe("vigie/v1/+/errors", version=5))
    peer.next(mqtt.SUBACK)
    node.restart()
    base.equal(session("survivor")[1], True)
    peer, present = session("listener")
    base.equal(present, True)
    with wire(5, "speaker") as speaker:
        speaker.send(mqtt.publish(TOPIC, bad(), 1, 1, version=5))
        speaker.next(mqtt.PUBACK)
    base.check(b"unit-mismatch" in peer.next(mqtt.PUBLISH).body, "the subscription came back with the session")


# ------------------------------------------------------------------------------------------ errors topic

def filters(*topics, version=5):
    body = struct.pack(">H", 3) + (b"\0" if version == 5 else b"")
    return body + b"".join(mqtt.text(topic) + b"\1" for topic in topics)


def test_who_may_hear_of_errors():
    topics = ["vigie/v1/D-P-1/errors", "vigie/v1/+/errors", "vigie/v1/D-P-2/errors", "vigie/v1/D-P-9/errors",
              "vigie/v1/#", "#", "vigie/v1/D-P-1/readings", "$share/g/vigie/v1/+/errors", "vigie/v1/+x/errors", "a/#/b"]
    with wire(5, "s5") as peer:
        peer.send(mqtt.packet(mqtt.SUBSCRIBE, filters(*topics), 2))
        base.equal(peer.next(mqtt.SUBACK).body[3:].hex(), "0000878787" + "87" + "87" + "9e" + "8f8f")
        body = b"\0\4\0" + b"".join(mqtt.text(topic) for topic in topics[:2] + ["vigie/v1/D-P-1/errors"])
        peer.send(mqtt.packet(mqtt.UNSUBSCRIBE, body, 2))
        base.equal(peer.next(mqtt.UNSUBACK).body[3:].hex(), "000011")
    with wire(4, "s4") as peer:
        peer.send(mqtt.packet(mqtt.SUBSCRIBE, filters(*topics, version=4), 2))
        base.equal(peer.next(mqtt.SUBACK).body[2:].hex(), "0000" + "80" * 8)
        peer.send(mqtt.packet(mqtt.UNSUBSCRIBE, b"\0\4" + mqtt.text(topics[0]), 2))
        base.equal(peer.next(mqtt.UNSUBACK).body, b"\0\4")


def error_of(packet, version):
    size = struct.unpack(">H", packet.body[:2])[0]
    base.equal(packet.flags, 0, "QoS 0, not retained")
    return packet.body[2:2 + size].decode(), json.loads(packet.body[2 + size + (version == 5):])


def test_errors_reach_every_subscriber_of_the_source():
    listeners = [(version, wire(version, "hear-%d-%d" % (version, i))) for version in (4, 5) for i in range(4)]
    deaf = wire(5, "deaf", SYSTEM)
    for version, peer in listeners + [(5, deaf)]:
        peer.send(mqtt.subscribe("vigie/v1/+/errors" if version == 5 else "vigie/v1/D-P-1/errors", version=version))
        peer.next(mqtt.SUBACK)
    for version, qos in ((4, 1), (5, 1), (5, 0)):
        with wire(version, "tells") as peer:
            half = json.loads(reading())
            half["readings"].append(dict(half["readings"][0], code="8867-4"))
            peer.send(mqtt.publish(TOPIC, json.dumps(half).encode(), qos, 12, version=version),
                      mqtt.publish(TOPIC, b"nonsense", qos, 13, version=version),
                      mqtt.packet(mqtt.PINGREQ))
            while peer.next().kind != mqtt.PINGRESP:
                pass
        for heard, listener in listeners:  # what nothing was kept of is told at once, the other when it is durable
            found = [error_of(listener.next(mqtt.PUBLISH), heard) for _ in range(2)]
            base.equal([topic for topic, _ in found], ["vigie/v1/D-P-1/errors"] * 2)
            half, none = sorted((error for _, error in found), key=lambda error: error["code"], reverse=True)
            base.equal((half["packet"], half["topic"], half["code"]), (12 if qos else None, TOPIC, "unit-mismatch"))
            base.equal([(one["message"], one["reading"], one["code"]) for one in half["rejected"]],
                       [(0, 1, "unit-mismatch")])
            base.equal((none["packet"], none["code"], none["rejected"]), (13 if qos else None, "bad-request", []))
            base.check("byte" in none["text"], none)
    deaf.send(mqtt.packet(mqtt.PINGREQ))
    deaf.next(mqtt.PINGRESP)
    for _, peer in listeners:
        peer.close()


def test_a_subscriber_that_does_not_read_holds_up_nobody():
    deaf, peer = wire(4, "never reads"), wire(4, "speaks")
    deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.send(mqtt.subscribe("vigie/v1/+/errors"))
    deaf.next(mqtt.SUBACK)
    many = b"[" + b",".join(bad() for _ in range(200)) + b"]"
    before = metric("vigie_mqtt_errors_total{result=\"lost\"}")
    for number in range(1, 800):
        peer.send(mqtt.publish(TOPIC, many, 1, number))
        peer.next(mqtt.PUBACK)
        if number % 50 == 0 and metric("vigie_mqtt_errors_total{result=\"lost\"}") > before:
            break
    base.check(metric("vigie_mqtt_errors_total{result=\"lost\"}") > before, "what it does not read is given up")
    deaf.close()
    peer.close()
