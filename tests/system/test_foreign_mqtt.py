"""Clients that know nothing of Vigie, as they are, over MQTT and TLS: mosquitto_pub and mosquitto_sub, python3-paho-mqtt,
a mosquitto broker that bridges to us with its defaults, openssl s_client. Every reading that was acknowledged is in
PostgreSQL once; every refusal is told as the version of the protocol can tell it."""
import functools
import json
import os
import queue
import subprocess

from tests.harness import authority, base, check, mqtt, site as sites

TOKEN, STRANGER = "token-of-the-gateway", "token-of-another"
moment = check.Moments().text
READINGS, ERRORS = "vigie/v1/D-P-1/readings", "vigie/v1/D-P-1/errors"


@functools.lru_cache(None)
def site():
    place = base.fresh_directory(os.path.join(base.BUILD, "test", "foreign-mqtt-ca"))
    issuer = authority.Authority(place)
    # Ports of their own: a bridge and a persistent session find the node again after a restart.
    listen = {"mqtts": "127.0.0.1:%d" % base.free_port(), "mqtt": "127.0.0.1:%d" % base.free_port()}
    made = sites.Site("foreign-mqtt", settings={"tls": {"client_ca": issuer.certificate}, "listen": listen})
    made.pair = issuer.issue("gw-1.example")
    made.node.import_rows(
        sites.organization_rows() + [sites.rule_row(sites.SILENCE)]
        + [row for ref in ("P-1", "P-2", "P-3") for row in sites.patient_rows(ref)]
        + [dict(sites.gateway_row("gw", TOKEN, ["D-P-1", "D-P-2"]), certificate_cn="gw-1.example"),
           sites.gateway_row("gw-2", STRANGER, ["D-P-3"])])
    return made


def tear_down():
    if site.cache_info().currsize:
        site().close()


def reading(value, at=None, unit="/min", code="8867-4"):
    return json.dumps({"time": at or moment(), "readings": [{"code": code, "value": value, "unit": unit}]}).encode()


def stored_of(values, patient="P-1"):
    """How often each value is stored."""
    site().node.wait_drained("postgres")
    names = [round(value * 1000000) for value in values]
    rows = dict(site().cluster.query("""SELECT r.value::bigint, count(*)::int FROM vigie.reading r
        JOIN vigie.patient p USING (patient_id) WHERE p.ref = %s AND r.value = ANY(%s) GROUP BY 1""",
                                     (patient, names), database="vigie"))
    return [rows.get(name, 0) for name in names]


def stored(value, patient="P-1"):
    return stored_of([value], patient)[0]


def pub(topic, *arguments, version="5", token=TOKEN, pair=None, name=None, stdin=None):
    return mqtt.tool("mosquitto_pub", *mqtt.access(site().node, token, pair, version, name), "-t", topic, *arguments,
                     stdin=stdin)


class Heard:
    """mosquitto_sub on a topic, until `count` messages have come."""

    def __init__(self, topic, count=1, version="311", name="listener"):
        self.child = subprocess.Popen(
            ["stdbuf", "-oL", "mosquitto_sub"] + [str(one) for one in mqtt.access(site().node, TOKEN, None, version, name)]
            + ["-t", topic, "-q", "1", "-C", str(count), "-W", "10", "-F", "%q %r %t %p", "-d"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = []
        while not (said and "Subscribed" in said[-1]):
            said.append(self.child.stdout.readline())
            base.check(said[-1], "subscribed:", said)

    def messages(self):
        """[(retained, topic, object)]"""
        output = self.child.stdout.read()  # -W ends it
        self.child.wait(10)
        found = []
        for line in output.split("\n"):
            parts = line.split(" ", 3)
            if len(parts) == 4 and parts[2].startswith("vigie/"):
                found.append((parts[1], parts[2], json.loads(parts[3])))
        base.check(found, "messages in", output)
        return found


# ---------------------------------------------------------------------------------------------- mosquitto's clients

def test_mosquitto_pub_is_stored_at_every_quality_of_service():
    value = 100
    for version in ("311", "5"):
        for quality in "012":
            value += 1
            status, output, errors = pub(READINGS, "-q", quality, "-m", reading(value).decode(), version=version)
            base.equal((status, errors), (0, ""), "mosquitto_pub", version, quality, output)
            if quality == "0":
                base.wait_for("QoS 0 is stored", lambda: stored(value) == 1, 10)
            base.equal(stored(value), 1, version, quality)
    many = b"".join(reading(200 + number) + b"\n" for number in range(100))
    for quality in "12":
        status, _, errors = pub(READINGS, "-q", quality, "-l", stdin=many)
        base.equal((status, errors), (0, ""), "a hundred lines")
    base.equal(stored_of([200 + number for number in range(100)]), [1] * 100, "and again they are duplicates")


def test_mosquitto_pub_shows_a_certificate():
    status, _, errors = pub(READINGS, "-q", "1", "-m", reading(111).decode(), token=None, pair=site().pair)
    base.equal((status, errors, stored(111)), (0, "", 1))
    base.equal(stored(111), 1)
    for version, words in (("311", "not authori"), ("5", "ot authorized")):
        for token in ("nobody", None):
            status, output, errors = pub(READINGS, "-q", "1", "-m", reading(112).decode(), token=token, version=version)
            base.check(status != 0 and words in errors + output, version, token, output, errors)
    base.equal(stored(112), 0, "of nobody")


def test_mosquitto_pub_sends_fhir_and_cbor():
    at = moment()
    observation = sites.observation("P-1", "29463-7", 71.4, "kg", at)
    status, _, errors = pub("vigie/v1/D-P-1/fhir", "-q", "2", "-m", json.dumps(observation))
    base.equal((status, errors, stored(71.4)), (0, "", 1), "FHIR")
    try:
        import cbor2
    except ImportError:
        raise base.Unavailable("python3-cbor2 is not installed")
    path = os.path.join(site().directory, "reading.cbor")
    with open(path, "wb") as file:
        file.write(cbor2.dumps({3: check.to_ms(moment()), 4: [{5: "29463-7", 6: 72.5, 7: "kg"}]}))
    status, _, errors = pub(READINGS, "-q", "1", "-f", path)
    base.equal((status, errors, stored(72.5)), (0, "", 1), "CBOR")


def test_refusals_of_mqtt_5_are_reason_codes():
    """mosquitto_pub prints a warning with the words of the reason code."""
    for words, topic, payload in [
            ("format invalid", READINGS, b"not json"), ("format invalid", READINGS, reading(70, unit="kg")),
            ("ot authorized", "vigie/v1/D-P-3/readings", reading(70)),       # not a device of this gateway
            ("ot authorized", "vigie/v1/D-NOBODY/readings", reading(70)),
            ("ot authorized", "somebody/else", reading(70)), ("ot authorized", "vigie/v1/D-P-1", reading(70))]:
        for quality in "12":
            status, output, errors = pub(topic, "-q", quality, "-m", payload.decode())
            base.check(words in errors + output, topic, payload, "QoS", quality, "says", words, "found", status, output,
                       errors)
    base.equal((stored(70), stored(70, "P-3")), (0, 0))


def test_refusals_of_mqtt_3_are_published():
    with_sub = Heard(ERRORS, 3)
    for quality, payload in (("1", b"not json"), ("2", reading(70, unit="kg")), ("0", reading(71, code="1-8"))):
        status, output, errors = pub(READINGS, "-q", quality, "-m", payload.decode(), version="311")
        base.equal((status, errors), (0, ""), "acknowledged", output)
    told = with_sub.messages()
    base.equal([(retained, topic) for retained, topic, _ in told], [("0", ERRORS)] * 3, "never retained")
    errors = sorted((one for _, _, one in told), key=lambda one: one["code"])
    for one in errors:
        base.equal(one["topic"], READINGS, one)
        base.check(one["text"] and "packet" in one and isinstance(one["rejected"], list), one)
    codes = [one["code"] for one in errors]
    base.check("unit-mismatch" in codes and "unknown-code" in codes, codes)
    site().node.wait_drained("postgres")
    kept = site().cluster.query("SELECT code, text FROM vigie.rejected", database="vigie")
    base.check({"unit-mismatch", "unknown-code"} <= {code for code, _ in kept}, "kept in vigie.rejected:", kept)
    # MQTT 5 was told at QoS 1; at QoS 0 it cannot be.
    again = Heard(ERRORS, 1, version="5")
    pub(READINGS, "-q", "0", "-m", reading(73, unit="kg").decode())
    base.equal([one["code"] for _, _, one in again.messages()], ["unit-mismatch"])


def test_foreign_topics_are_refused():
    for topic in ("#", "vigie/v1/+/readings", "somebody/else", "vigie/v1/D-P-3/errors", "$SYS/#"):
        for version in ("311", "5"):
            status, output, errors = mqtt.tool("mosquitto_sub", *mqtt.access(site().node, TOKEN, None, version), "-t", topic,
                                               "-q", "1", "-W", "3")
            base.check("denied" in output + errors, topic, version, status, output, errors)
    status, output, errors = pub("somebody/else", "-q", "1", "-m", "{}", version="311")
    base.check(status != 0 or "lost" in errors + output, "3.1.1: the connection is closed", status, output, errors)
    with mqtt.Wire(site().node.ports["mqtts"], site().node.certificate) as wire:
        wire.open("stays", TOKEN, 5)
        wire.send(mqtt.publish("somebody/else", b"{}", 1, 7, version=5),
                  mqtt.publish(READINGS, reading(115), 1, 8, version=5))
        first, second = wire.next(mqtt.PUBACK), wire.next(mqtt.PUBACK)
        base.equal([(one.number, one.reason) for one in (first, second)], [(7, 0x87), (8, 0)], "the connection stays")
    base.equal(stored(115), 1)


# ---------------------------------------------------------------------------------------------- paho

def paho():
    try:
        import paho.mqtt.client as module
    except ImportError:
        raise base.Unavailable("python3-paho-mqtt is not installed")
    return module


class Client:
    """paho with its own thread; what it is told goes into queues. It shows reason codes of acknowledgements to nobody:
    they are read from the packet that it has just received."""

    def __init__(self, version, name, clean=True, expiry=None, token=TOKEN, listener="mqtts"):
        module = paho()
        node = site().node

        class Told(module.Client):
            def _handle_pubackcomp(own, kind):
                self.reasons.append((kind, bytes(own._in_packet["packet"])))
                return super()._handle_pubackcomp(kind)

            def _handle_pubrec(own):
                self.reasons.append(("PUBREC", bytes(own._in_packet["packet"])))
                return super()._handle_pubrec()

        self.is_5, self.reasons, self.done = version == 5, [], set()
        self.opened, self.subscribed, self.heard = queue.Queue(), queue.Queue(), queue.Queue()
        options = {} if self.is_5 else {"clean_session": clean}
        self.client = Told(name, protocol=module.MQTTv5 if self.is_5 else module.MQTTv311, **options)
        if listener == "mqtts":
            self.client.tls_set(node.certificate)
        if token is not None:
            self.client.username_pw_set("gateway", token)
        self.client.on_connect = lambda *told: self.opened.put(told[2:])
        self.client.on_subscribe = lambda *told: self.subscribed.put(told[3:])
        self.client.on_publish = lambda client, data, number: self.done.add(number)
        self.client.on_message = lambda client, data, message: self.heard.put(message)
        self.client.reconnect_delay_set(1, 1)
        more = {}
        if self.is_5:
            more["clean_start"] = clean
            if expiry is not None:
                from paho.mqtt.packettypes import PacketTypes
                from paho.mqtt.properties import Properties
                more["properties"] = Properties(PacketTypes.CONNECT)
                more["properties"].SessionExpiryInterval = expiry
        self.client.connect("127.0.0.1", node.ports[listener], 30, **more)
        self.client.loop_start()
        self.told = self.opened.get(timeout=10)

    def session_present(self):
        return bool(self.told[0]["session present"])

    def publish(self, topic, payload, quality):
        return self.client.publish(topic, payload, quality)

    def send(self, topic, payload, quality):
        """Publishes and waits until paho says that it is done."""
        sent = self.publish(topic, payload, quality)
        sent.wait_for_publish(10)
        base.check(sent.is_published(), "acknowledged:", topic, payload)
        return sent

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def test_paho_is_stored_at_every_quality_of_service():
    value = 120
    for version in (4, 5):
        with Client(version, "paho-%d" % version) as client:
            for quality in (0, 1, 2):
                value += 1
                client.send(READINGS, reading(value), quality)
                if quality == 0:
                    base.wait_for("QoS 0 is stored", lambda: stored(value) == 1, 10)
                base.equal(stored(value), 1, version, quality)


def test_paho_is_told_reasons():
    with Client(5, "paho-reasons") as client:
        properties = client.told[2]
        base.check(0 < getattr(properties, "ReceiveMaximum", 65535) <= 65535, "receive maximum", properties)
        base.check(not getattr(properties, "RetainAvailable", 0), "nothing is retained here", properties)
        for quality, kind in ((1, "PUBACK"), (2, "PUBREC")):
            for reason, topic, payload in ((0x99, READINGS, reading(70, unit="kg")),
                                           (0x87, "vigie/v1/D-P-3/readings", reading(70)),
                                           (0x00, READINGS, reading(129 + quality))):
                client.reasons.clear()
                client.publish(topic, payload, quality)
                base.wait_for("an acknowledgement", lambda: client.reasons, 10, 0.01)
                found, packet = client.reasons[0]
                base.equal((found, packet[2] if len(packet) > 2 else 0), (kind, reason), topic, payload)
                if reason == 0x99:
                    base.check(b"unit" in packet[3:], "a reason string says why:", packet)
    base.equal((stored(130), stored(131), stored(70)), (1, 1, 0))


def test_paho_within_the_receive_maximum():
    """Many at once: the client keeps to what it was told, everything is acknowledged and stored once."""
    for version, quality in ((4, 1), (5, 2)):
        with Client(version, "paho-many-%d" % version) as client:
            client.client.max_inflight_messages_set(16)
            values = [3000 * version + number for number in range(300)]
            sent = [client.publish("vigie/v1/D-P-2/readings", reading(number / 100), quality) for number in values]
            for one in sent:
                one.wait_for_publish(20)
                base.check(one.is_published(), "acknowledged")
        base.equal(stored_of([number / 100 for number in values], "P-2"), [1] * 300, version, quality)


def test_sessions_are_known_after_a_restart():
    names = {4: dict(clean=False), 5: dict(clean=False, expiry=3600)}
    for version, more in names.items():
        with Client(version, "kept-%d" % version, **more) as client:
            base.equal(client.session_present(), False, "the first time", version)
    with Client(5, "ends", clean=False, expiry=0) as client:
        base.equal(client.session_present(), False)
    site().node.restart()
    for version, more in names.items():
        with Client(version, "kept-%d" % version, **more) as client:
            base.equal(client.session_present(), True, "after a restart", version)
            client.send(READINGS, reading(140 + version), 2)
            base.equal(stored(140 + version), 1)
    with Client(5, "ends", clean=False, expiry=0) as client:
        base.equal(client.session_present(), False, "a session without expiry ends with its connection")
    with Client(5, "kept-5", clean=True) as client:
        base.equal(client.session_present(), False, "clean start")


def test_paho_goes_on_over_a_restart():
    """paho sends again by itself what was not acknowledged. Over TCP: its thread dies of a TLS connection that ends
    while it writes."""
    for version in (4, 5):
        client = Client(version, "goes-on-%d" % version, clean=False, expiry=3600 if version == 5 else None, listener="mqtt")
        values = [(150000 + 1000 * version + number) / 1000 for number in range(60)]
        sent = [client.publish(READINGS, reading(value), 1 + round(value * 1000) % 2) for value in values[:50]]
        site().node.restart()
        sent += [client.publish(READINGS, reading(value), 1 + round(value * 1000) % 2) for value in values[50:]]
        base.wait_for("all is acknowledged", lambda: {one.mid for one in sent} <= client.done, 20)
        client.close()
        base.wait_for("each is stored once", lambda: stored_of(values) == [1] * 60, 5)


def test_paho_hears_errors():
    with Client(4, "paho-hears") as client:
        client.client.subscribe([(ERRORS, 1), ("vigie/v1/D-P-3/errors", 1)])
        granted = client.subscribed.get(timeout=10)[0]
        base.check(granted[0] in (0, 1) and granted[1] == 128, "granted, refused:", granted)
        client.send(READINGS, b"[1,2", 2)
        message = client.heard.get(timeout=10)
        base.equal((message.topic, message.retain), (ERRORS, False))
        base.equal(json.loads(message.payload)["topic"], READINGS)


def test_a_newer_connection_of_a_client_takes_over():
    node = site().node
    with mqtt.Wire(node.ports["mqtts"], node.certificate) as first, mqtt.Wire(node.ports["mqtts"], node.certificate) as second:
        first.open("twice", TOKEN, 5)
        second.open("twice", TOKEN, 5)
        told = first.next(mqtt.DISCONNECT)
        base.equal((told.body[0], first.next()), (0x8E, None), "session taken over")
        second.send(mqtt.publish(READINGS, reading(160), 1, 1, version=5))
        base.equal(second.next(mqtt.PUBACK).reason, 0)


def test_a_client_id_is_its_sources_own():
    """Another source under the same client id neither has the session nor ends the connection."""
    node = site().node
    with mqtt.Wire(node.ports["mqtts"], node.certificate) as first, mqtt.Wire(node.ports["mqtts"], node.certificate) as other:
        first.open("shared", TOKEN, 4, clean=False)
        base.equal(other.open("shared", STRANGER, 4, clean=False), False, "session present")
        first.send(mqtt.publish(READINGS, reading(161), 1, 1))
        base.equal(first.next(mqtt.PUBACK).number, 1)


def test_a_device_of_the_payload_agrees_with_the_topic():
    node = site().node
    with mqtt.Wire(node.ports["mqtts"], node.certificate) as wire:
        wire.open("devices", TOKEN, 5)
        for reason, more in ((0, {"device": "D-P-1"}), (0x99, {"device": "D-P-2"}), (0, {"patient": "P-1"}),
                             (0x83, {"patient": "P-2"}), (0x87, {"patient": "NOBODY"})):
            body = dict(json.loads(reading(162)), **more)
            wire.send(mqtt.publish(READINGS, json.dumps(body).encode(), 1, 1, version=5))
            base.equal(wire.next(mqtt.PUBACK).reason, reason, more)
    base.equal((stored(162), stored(162, "P-2")), (2, 0))


# ---------------------------------------------------------------------------------------------- a bridge

def test_a_mosquitto_bridge_works_with_its_defaults():
    node = site().node
    directory = os.path.join(site().directory, "bridge")
    broker = mqtt.Broker(directory, [
        "connection vigie", "address 127.0.0.1:%d" % node.ports["mqtts"], "topic vigie/v1/# out 1",
        "bridge_cafile " + node.certificate, "remote_username gateway", "remote_password " + TOKEN,
        "restart_timeout 1"]).start()
    try:
        base.wait_for("the bridge is connected\n" + base.tail(broker.log),
                      lambda: node.metrics()['vigie_connections{protocol="mqtts"}'] >= 1, 20)
        local = ["-h", "127.0.0.1", "-p", broker.port]

        def send(first, count):
            lines = b"".join(reading((first * 100 + number) / 100) + b"\n" for number in range(count))
            status, _, errors = mqtt.tool("mosquitto_pub", *local, "-t", READINGS, "-q", "1", "-l", stdin=lines)
            base.equal((status, errors), (0, ""), "to the local broker")

        def have(first, count):
            return sum(stored_of([(first * 100 + number) / 100 for number in range(count)]))

        send(170, 50)
        base.wait_for("all of it\n" + base.tail(broker.log), lambda: have(170, 50) == 50, 20, 0.3)
        node.stop()
        send(180, 50)
        node.start()
        base.wait_for("what came meanwhile\n" + base.tail(broker.log), lambda: have(180, 50) == 50, 30, 0.3)
        send(190, 10)
        base.wait_for("and goes on\n" + base.tail(broker.log), lambda: have(190, 10) == 10, 20, 0.3)
        base.equal(have(170, 50) + have(180, 50) + have(190, 10), 110, "once each")
        mqtt.tool("mosquitto_pub", *local, "-t", READINGS, "-q", "1", "-m", "not json")  # a bridge cannot be told
        base.wait_for("the broken one is kept aside", lambda: site().cluster.query(
            "SELECT count(*)::int FROM vigie.rejected WHERE code = 'bad-request'", database="vigie")[0][0] > 0, 10, 0.3)
        send(195, 1)
        base.wait_for("and delays nothing", lambda: have(195, 1) == 1, 20, 0.3)
    finally:
        broker.stop()


# ---------------------------------------------------------------------------------------------- openssl

def test_openssl_speaks_mqtt_by_hand():
    """Bytes of a CONNECT and a PUBLISH through s_client; CONNACK and PUBACK come back."""
    node = site().node
    for version in ("-tls1_2", "-tls1_3"):
        said = mqtt.connect("by-hand", TOKEN) + mqtt.publish(READINGS, reading(165), 1, 9)
        child = subprocess.Popen(["openssl", "s_client", "-quiet", "-connect", "127.0.0.1:%d" % node.ports["mqtts"],
                                  "-CAfile", node.certificate, "-verify_return_error", version],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            child.stdin.write(said)
            child.stdin.flush()
            heard = b""
            while len(heard) < 8:
                heard += os.read(child.stdout.fileno(), 64) or base.check(False, "ended after", heard)
        finally:
            child.kill()
            child.communicate()
        base.equal(heard, b"\x20\x02\x00\x00\x40\x02\x00\x09", version)
