"""HL7 v2 over MLLP through the real listeners: the public messages behave as EXPECTED.jsonl lists them, in mode=test and
in mode=production; every row of the acknowledgement table; alarms of PCD-04 up to Kafka; and what a connection may be."""
import functools
import os
import socket
import subprocess
import time

from tests.harness import authority, base, check, consume, hl7v2, site as sites, vigied
from tests.system.test_fhir_samples import payload, rows_of_samples, same_time

OID = "2.999.1"
RULE = {"id": "test.alarm", "line": sites.LINE, "kind": "event", "classes": {"MDC_EVT_APNEA": "high", "*": "low"},
        "text": {"fr": "Alarme d'un appareil", "en": "Alarm of a device"}, "source": "test", "tag": "TEST"}
# (system, value) of PID-3 by the file; an authority without an OID is its namespace.
PATIENTS = {"hl7-ihe-pcd01-episodic-nibp.hl7": ("A", "12345"), "hl7-comen-nc5-oru-sentinels.hl7": ("", "12345"),
            "hl7-loinc-v24-no-obs-time.hl7": ("", "55555"), "hl7-comen-monitor-two-spo2-channels.hl7": ("", "10006"),
            "hl7-continua-home-bp.hl7": ("", "SSN3456789"), "hl7-draeger-pcd04-sensor-unplugged.hl7": ("", "8888"),
            "hl7-ans-adt-a01-test-ins.hl7": ("urn:oid:1.2.250.1.213.1.4.10", "279035121518989")}
# What is answered: MSA-1, MSA-2, the first error; in mode=production where it differs.
ANSWERS = {"hl7-ihe-pcd01-episodic-nibp.hl7": ("CA", "0104ef190d604db188c3", None),
           "hl7-comen-nc5-oru-sentinels.hl7": ("AA", "20260726120500.10010042", "0"),
           "hl7-loinc-v24-no-obs-time.hl7": ("AE", "X2", "101"),
           "hl7-comen-monitor-two-spo2-channels.hl7": ("AA", "202506100151270003", "103"),
           "hl7-continua-home-bp.hl7": ("AA", "msgId0", None),
           "hl7-draeger-pcd04-sensor-unplugged.hl7": ("CA", "0", None),
           "hl7-ans-adt-a01-test-ins.hl7": ("AR", "3975", "200")}
IN_PRODUCTION = {"hl7-continua-home-bp.hl7": ("AR", "msgId0", "202"),
                 "hl7-draeger-pcd04-sensor-unplugged.hl7": ("CR", "0", "202")}


def cohort(names):
    rows = sites.organization_rows() + [sites.rule_row(sites.SILENCE)]
    for name in names:
        system, value = PATIENTS[name]
        rows += sites.patient_rows(name[:-4], device=False, enrolled_at="2010-01-01T00:00:00Z")[:1]
        rows.append({"type": "identifier", "patient": name[:-4], "system": system, "value": value})
    return rows + [sites.system_row("monitor", "not-used")]


@functools.lru_cache(None)
def site():
    place = base.fresh_directory(os.path.join(base.BUILD, "test", "hl7-ca"))
    issuer = authority.Authority(place)
    made = sites.Site("hl7", broker=True, settings={
        "tls": {"client_ca": issuer.certificate},
        "listen": {"mllps": "127.0.0.1:0", "mllp": "127.0.0.1:0", "mllp_source": "monitor", "message_timeout": "2s"}})
    made.known, made.stranger = issuer.issue("gw.example"), issuer.issue("nobody.example")
    rows = cohort(PATIENTS)
    for ref in ("P-1", "P-2"):
        rows += sites.patient_rows(ref, rules=[RULE])
        rows.append({"type": "identifier", "patient": ref, "system": "urn:oid:" + OID, "value": ref})
    rows.append(dict(sites.gateway_row("gw", "token-of-gw", ["D-P-1"]), certificate_cn="gw.example"))
    made.node.import_rows(rows)
    return made


def tear_down():
    if site.cache_info().currsize:
        site().close()


def wire(**more):
    return hl7v2.Wire(site().node.ports["mllp"], **more)


def ask(message):
    with wire() as one:
        return one.ask(message)


def now(seconds=0):
    return int((time.time() - 600 + seconds) * 1000)


def stored(where, names):
    """(patient, parameter, value in millionths, unit, measured_at, sensor, group, context, flags) of all."""
    where.node.wait_drained("postgres")
    return where.cluster.query("""
        SELECT p.ref, m.name, r.value, m.unit, r.measured_at, r.sensor, r.group_id, r.context::text, r.flags
          FROM vigie.reading r JOIN vigie.patient p USING (patient_id) JOIN vigie.parameter m USING (parameter_id)
         WHERE p.ref = ANY(%s)""", ([name[:-4] for name in names],), database="vigie")


def judge(rows, answers, where):
    """Each file's answer and exactly its readings."""
    faults, names = [], [row["file"] for row in rows]
    with hl7v2.Wire(where.node.ports["mllp"]) as one:
        for name in names:
            answer = one.ask(payload({"file": name}))
            if (answer.code, answer.control, answer.error) != answers[name]:
                faults.append("%s: expected %s\n%r" % (name, answers[name], answer))
    found = stored(where, names)
    for row in rows:
        for reading in row["readings"] if answers[row["file"]][0][1] == "A" else ():
            value = round(float(reading["canonical_value"]) * 1000000)
            match = [one for one in found if one[:4] == (row["file"][:-4], reading["parameter"], value,
                                                         reading["canonical_unit"])
                     and same_time(reading["effective"], one[4], "time", None)
                     and reading.get("sub_id", one[5]) == one[5]]
            if len(match) == 1:
                found.remove(match[0])
            else:
                faults.append("listed, stored %d times: %s %s" % (len(match), row["file"], reading))
    base.check(not faults and not found, "\n".join(faults), "stored, not listed:", found)


def samples():
    rows = [row for row in rows_of_samples() if row["iface"] == "hl7v2" and row["verdict"] != "reference"]
    base.equal(sorted(row["file"] for row in rows), sorted(PATIENTS), "the HL7 samples")
    return rows


def test_samples_in_test_mode():
    judge(samples(), ANSWERS, site())
    pressures = {one[6] for one in stored(site(), ["hl7-ihe-pcd01-episodic-nibp.hl7"]) if one[1].startswith("bp-")}
    base.check(len(pressures) == 1 and None not in pressures, "one group of the three pressures:", pressures)
    contexts = {one[1]: one[7] for one in stored(site(), PATIENTS) if one[7]}
    base.equal(contexts["pulse-rate"], '{"time_offset":"inherited"}')
    base.equal(contexts["body-temperature"], '{"unit":"by-reference-identifier"}')
    rows = site().cluster.query("SELECT class, phase FROM vigie.device_event", database="vigie")
    base.equal(rows, [("MDC_EVT_SENSOR_DISCONN", "start")], "the alarm of test data")
    base.equal(ask(payload({"file": "hl7-ihe-pcd01-episodic-nibp.hl7"})).code, "CA", "a resend is acknowledged again")
    site().node.wait_drained("postgres")
    check.stored_once(check.stored_readings(site().cluster))


def test_samples_in_production():
    directory = base.fresh_directory(os.path.join(base.BUILD, "test", "hl7-keys"))
    for name in ("journal", "identifier"):
        with open(os.open(os.path.join(directory, name), os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(os.urandom(32).hex() + "\n")
    settings = {"node": {"mode": "production"}, "journal": {"key": os.path.join(directory, "journal")},
                "auth": {"identifier_key": os.path.join(directory, "identifier")},
                "listen": {"mllp": "127.0.0.1:0", "mllp_source": "monitor"}}
    with sites.Site("hl7-production", settings=settings) as where:
        where.node.import_rows(cohort([name for name in PATIENTS if "ans-adt" not in name]))
        judge(samples(), dict(ANSWERS, **IN_PRODUCTION), where)
        base.equal(where.cluster.query("SELECT count(*)::int FROM vigie.device_event", database="vigie"), [(0,)])


# MSH-15, MSH-16: the letter in front, or none; INTEROP.md section 3.3 H8.
MODES = [("AL|NE", "C"), ("|", "A"), ("NE|AL", "A"), ("NE|NE", "")]


def test_acknowledgement_table():
    """Stored, content error, refused: for every row of the table; what is not told is kept."""
    with wire() as one:
        for row, (modes, letter) in enumerate(MODES):
            for kind, message in (
                    ("A", hl7v2.weight("T-%d-A" % row, now(row), 70, modes=modes)),
                    ("E", hl7v2.weight("T-%d-E" % row, now(row), 70, modes=modes, who="nobody")),
                    ("E", hl7v2.observation("T-%d-E" % row, now(row), "OBX|1|NM|%s|1|70|%s|||||F" % (
                        hl7v2.WEIGHT[0], hl7v2.PULSE[1]), modes=modes)),
                    ("R", hl7v2.weight("T-%d-R" % row, now(row), 70, modes=modes, version="1.0"))):
                one.send(message)
                if letter:
                    answer = one.next()
                    base.equal((answer.code, answer.control), (letter + kind, "T-%d-%s" % (row, kind)), modes, answer)
                    base.check("|ACK^R01^ACK|" in answer.text and answer.text.count("\rMSA|") == 1
                               and len(answer.segment("MSA")) == 3, answer)
                    base.equal(answer.segment("ERR") is None, kind == "A", answer)
                    base.check(answer.error != "207", "what must not be sent again says so:", answer)
        base.equal(one.ask(hl7v2.weight("T-last", now(9), 70)).control, "T-last", "nothing was answered between")
    site().node.wait_drained("postgres")
    kept = site().cluster.query("SELECT code FROM vigie.rejected r JOIN vigie.source s USING (source_id) "
                                "WHERE s.ref = 'monitor' AND code NOT IN ('unknown-code') ORDER BY rejected_id",
                                database="vigie")
    base.equal([row[0] for row in kept], ["unknown-patient", "unit-mismatch", "not-supported"], "of NE/NE alone")
    base.check(site().node.metrics()["vigie_hl7_unanswered_total"] >= 4, "unanswered")


def test_refused_beside_good_is_named_and_kept():
    bad = "OBX|2|NM|%s|1.1.1.2|7x|%s|||||F" % hl7v2.PULSE
    with wire() as one:
        answer = one.ask(hl7v2.observation("M-1", now(), hl7v2.numeric(1, hl7v2.WEIGHT[0], 71, hl7v2.WEIGHT[1]), bad))
    base.equal((answer.code, answer.error, answer.severity), ("CA", "102", "W"), answer)
    base.equal(answer.segment("ERR")[2], "OBX^2^5", "where")
    site().node.wait_drained("postgres")
    kept = site().cluster.query("SELECT rejected_id, code FROM vigie.rejected WHERE code = 'value-invalid'",
                                database="vigie")
    base.equal(len(kept), 1, kept)
    shown = site().node.ctl("rejected", "show", str(kept[0][0]))
    base.check(bad in shown, "its own bytes:", shown)


def alarm(control, episode, phase, name="MDC_EVT_APNEA", order=None, ms=None):
    order = order or ("A-%s^SYS" % control)
    return "\r".join([
        hl7v2.header(control, kind="ORU^R40^ORU_R40", profile=""), hl7v2.patient("P-1"),
        "OBR|1||%s|196616^MDC_EVT_ALARM^MDC|||%s%s^%s&SYS" % (order, hl7v2.stamp(ms or now()), "|" * 22, episode),
        "OBX|1||69837^MDC_DEV_METER_PHYSIO_MULTI_PARAM_MDS^MDC|1.0.0.0|||||||X|||||||D-P-1",
        "OBX|2|ST|197288^%s^MDC|1.1.1.1|no breath||||||F" % name,
        "OBX|3|ST|68481^MDC_ATTR_EVENT_PHASE^MDC|1.1.1.2|%s||||||F" % phase,
        "OBX|4|ST|68484^MDC_ATTR_ALARM_PRIORITY^MDC|1.1.1.3|PH||||||F"]) + "\r"


def test_alarms_reach_kafka():
    with wire() as one:
        for number, (episode, phase, name) in enumerate((("E-1", "start", "MDC_EVT_APNEA"), ("E-2", "start", "MDC_EVT_LEAK"),
                                                         ("E-1", "continue", "MDC_EVT_APNEA"), ("E-1", "end", "MDC_EVT_APNEA"))):
            answer = one.ask(alarm("K-%d" % number, episode, phase, name, ms=now(number)))
            base.equal((answer.code, answer.control), ("CA", "K-%d" % number), answer)
            base.check("|ACK^R40^ACK|" in answer.text, answer)
        answer = one.ask(alarm("K-x", "E-9", "start", name="").replace("197288^^MDC", "^^"))
        base.equal((answer.code, answer.error), ("CR", "201"), answer)
        watchdog = hl7v2.header("W-1", kind="ORU^R40^ORU_R40", profile="") + "\rOBR|1||W^S|196616^MDC_EVT_ALARM^MDC|||%s\r" \
            "OBX|1|NM|0^MDC_EVT_WATCHDOG^MDC|1|5|264320^MDC_DIM_SEC^MDC|||||F\r" % hl7v2.stamp(now())
        base.equal(one.ask(watchdog).code, "CA", "the watchdog")
    site().node.wait_drained()
    events = [record.json() for record in consume.by_confluent(site().broker.bootstrap) if record.key == "P-1"]
    told = sorted((one["device_event"]["episode"], one["event"], one["priority"]) for one in events
                  if one["class"] == "device")
    base.equal(told, [("E-1^SYS", "cleared", "high"), ("E-1^SYS", "raised", "high"), ("E-2^SYS", "raised", "low")])
    base.equal({one["device_event"]["device"] for one in events if one["class"] == "device"}, {"D-P-1"})


def test_a_certificate_says_who_speaks():
    node = site().node
    message = hl7v2.observation("C-1", now(), hl7v2.numeric(1, hl7v2.WEIGHT[0], 72, hl7v2.WEIGHT[1]) + "||||D-P-1", who=None)
    with hl7v2.Wire(node.ports["mllps"], node.certificate, site().known) as one:
        answer = one.ask(message)
        base.equal(answer.code, "CA", answer)
        answer = one.ask(message.replace("D-P-1", "D-P-2"))
        base.equal((answer.code, answer.error), ("CE", "204"), "not its device", answer)
    before = node.metrics()["vigie_mllp_strangers_total"]
    for pair in (None, site().stranger):
        with hl7v2.Wire(node.ports["mllps"], node.certificate, pair) as one:
            base.equal(one.next(), None, "closed before anything is said")
    base.equal(node.metrics()["vigie_mllp_strangers_total"] - before, 2)


def test_broken_off_messages_are_never_processed():
    message = hl7v2.framed(hl7v2.weight("B-1", now(), 73.01))
    with wire() as one:
        one.socket.sendall(message[:-2])
        one.socket.shutdown(socket.SHUT_WR)
        base.equal(one.next(), None, "cut off")
    with wire() as one:
        one.socket.sendall(message[:200] + hl7v2.framed(hl7v2.weight("B-2", now(), 73.02)) + b"\r\n\n")
        base.equal(one.next().control, "B-2", "begun anew")
        time.sleep(2.5)
        base.equal(one.ask(hl7v2.weight("B-3", now(), 73.03)).control, "B-3", "line ends wait for nothing")
    with wire() as one:
        one.socket.sendall(b"GET / HTTP/1.1\r\n" * 100)
        base.equal(one.next(), None, "junk")
    with wire() as one:
        one.socket.sendall(message[:120])
        answer = one.next()
        base.equal((answer.code, answer.control, answer.error), ("CR", "B-1", "207"), "slow", answer)
        base.equal(one.next(), None)
    with wire() as one:
        one.send(hl7v2.weight("B-4", now(), 70) + "NTE|1||" + "x" * (1 << 20))
        answer = one.next()
        base.equal((answer.code, answer.error), ("CE", "102"), "too large", answer)
    site().node.wait_drained("postgres")
    values = site().cluster.query("SELECT DISTINCT value FROM vigie.reading WHERE value BETWEEN 73000000 AND 73100000",
                                  database="vigie")
    base.equal(sorted(values), [(73020000,), (73030000,)])


def test_slow_bytes_and_many_messages():
    """One byte a write, and forty messages in one: both are answered, in order."""
    with wire() as one:
        for byte in hl7v2.framed(hl7v2.weight("S-1", now(), 74.5)):
            one.socket.sendall(bytes([byte]))
        base.equal(one.next().code, "CA")
        one.send(*[hl7v2.weight("S-%d" % number, now(number), 74 + number / 100) for number in range(40)])
        base.equal([one.next().control for _ in range(40)], ["S-%d" % number for number in range(40)])


def test_a_kill_between_message_and_acknowledgement():
    node, sent = site().node, []
    with wire() as one:
        for number in range(300):
            sent.append(hl7v2.weight("X-%d" % number, now(number / 100), 80 + number / 1000))
        one.send(*sent)
        acknowledged = [one.next().control for _ in range(20)]
        node.kill()
        while True:
            answer = one.next()
            if answer is None:
                break
            acknowledged.append(answer.control)
    node.start()
    node.wait_drained("postgres")
    query = "SELECT value FROM vigie.reading WHERE value BETWEEN 80000000 AND 80299000 AND original_unit = '263875'"
    held = {row[0] for row in site().cluster.query(query, database="vigie")}
    for control in acknowledged:
        base.check(80000000 + int(control[2:]) * 1000 in held, "acknowledged and lost:", control)
    with wire() as one:
        one.send(*sent)
        base.equal({one.next().code for _ in sent}, {"CA"}, "sent again")
    node.wait_drained("postgres")
    held = [row[0] for row in site().cluster.query(query, database="vigie")]
    base.equal((len(held), len(set(held))), (300, 300), "stored, and stored once")


def test_plain_mllp_needs_a_source_and_loopback():
    path = os.path.join(site().directory, "check.conf")
    for listen, fault in (({"mllp": "127.0.0.1:0"}, "[listen] mllp_source"),
                          ({"mllp": "0.0.0.0:2575", "mllp_source": "monitor"}, "[listen] mllp")):
        settings = dict(site().node.settings, listen=listen)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(vigied.text_of(settings))
        done = subprocess.run([vigied.PROGRAM, "--config", path, "--check"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        base.check(done.returncode == 1 and fault in done.stderr.decode(), listen, done.stderr.decode())
