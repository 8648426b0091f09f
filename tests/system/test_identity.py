"""Identity in production: INS keys and test numbers, one person by every spelling, claims on others counted and traced,
and no number in clear anywhere but in vigie_identity."""
import functools
import glob
import json
import os
import re
import socket
import time

from tests.harness import base, check, consume, mqtt, site as sites
from tests.harness.site import message, observation

NIR, NIA, TEST, DEMO = ("urn:oid:1.2.250.1.213.1.4.%d" % arc for arc in (8, 9, 10, 11))
ANNE, BLAISE = "190012A00400163", "255081416802538"  # nobody's: published with examples of the key
NOBODY = "185057512345673"
TEST_NUMBER = "279035121518989"
LOCAL = "ipp-kanarie-4711"
AT = "2026-11-20T08:30:00+01:00"
VALUES = iter(range(1, 1000))


def ins(patient, system, value):
    return {"type": "identifier", "patient": patient, "system": system, "value": value}


@functools.lru_cache(None)
def site():
    directory = base.fresh_directory(os.path.join(base.BUILD, "test", "identity-keys"))
    paths = {name: os.path.join(directory, name) for name in ("journal", "identifier")}
    for name, path in paths.items():
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write({"journal": "44", "identifier": "55"}[name] * 32 + "\n")
    place = sites.Site("identity", broker=True, settings={
        "node": {"mode": "production"},
        "listen": {"mqtt": "127.0.0.1:0", "mllp": "127.0.0.1:0", "mllp_source": "gw"}, "journal": {"key": paths["journal"], "segment_size": "1M"},
        "auth": {"identifier_key": paths["identifier"]}})
    rows = sites.organization_rows("ORG-A") + sites.organization_rows("ORG-B")
    rows += [sites.rule_row(sites.SILENCE), sites.rule_row(sites.GLUCOSE)]
    for patient, organization in (("P-1", "ORG-A"), ("P-2", "ORG-A"), ("P-9", "ORG-B")):
        rows += sites.patient_rows(patient, organization, enrolled_at="2026-01-01T00:00:00Z")
    rows += [ins("P-1", NIR, ANNE), ins("P-1", "urn:oid:9.8.7", LOCAL), ins("P-2", NIA, "2 55 08 14 168 025 38"),
             sites.system_row("sys", "token-sys"), sites.system_row("sys-b", "token-sys-b", "ORG-B")]
    gateway = sites.gateway_row("gw", None, ["D-P-1"])
    del gateway["token"]
    rows += [dict(gateway, token_sha256=sites.system_row("x", "token-gw")["token_sha256"]),
             {"type": "source", "ref": "me", "kind": "patient", "patient": "P-1",
              "token_sha256": sites.system_row("x", "token-me")["token_sha256"]}]
    place.node.import_rows(rows)
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def refused_import(row):
    status, _, errors = site().node.ctl("import", "/dev/stdin", expect=None, stdin=(json.dumps(row) + "\n").encode())
    base.equal(status, 65, row, errors)
    return errors


def test_what_an_import_refuses():
    for system, value, word in ((NIR, NOBODY[:-1] + "4", "another key"), ("1.2.250.1.213.1.4.9", NOBODY[:13], "no matricule"),
                                (TEST, TEST_NUMBER, "test or demonstration"), (DEMO, TEST_NUMBER, "test or demonstration"),
                                ("1.2.250.1.213.1.4.8", "1 90 01 2a 004 001 63", "another patient")):
        errors = refused_import(ins("P-2", system, value))
        base.check(word in errors and "line 1" in errors.replace(":1:", " line 1 "), errors)
        base.check(value not in errors and value[:8] not in errors, "the number is not repeated", errors)
    for ref in (NOBODY, NOBODY[:13], "190012A00400163", "1-90-01-2a-004-001", "7 85 05 75 123 456".replace(" ", "_")):
        errors = refused_import(sites.patient_rows(ref)[0])
        base.check(ref not in errors, errors)


def send(token, identifier=None, reference=None, patient=None):
    """An Observation of whom the arguments name: status, and the patient's ref when it was stored."""
    value = 40 + next(VALUES) / 100
    subject = {}
    resource = observation("-", "29463-7", value, "kg", AT)
    if identifier:
        subject["identifier"] = dict(zip(("system", "value"), identifier))
    if reference:
        subject["reference"] = reference
    if patient:
        resource["contained"] = [{"resourceType": "Patient", "id": "p", "identifier": [
            dict(zip(("system", "value"), one)) for one in patient]}]
        subject["reference"] = "#p"
    resource["subject"] = subject
    client = site().node.https(token)
    answer = client.fhir(resource)
    client.close()
    if answer.status != 201:
        text = answer.body.decode()
        for number in (ANNE, BLAISE, NOBODY, TEST_NUMBER, LOCAL):
            base.check(number not in text and number[:10] not in text, "no number in an answer", text)
        return answer.status, sites.outcome_of(answer)["code"]
    site().node.wait_drained("postgres")
    rows = site().cluster.query("SELECT p.ref FROM vigie.reading r JOIN vigie.patient p USING (patient_id) WHERE r.value = %s",
                                (round(value * 1000000),), "vigie")
    return answer.status, rows[0][0]


def test_one_person_by_every_spelling():
    for token, how, expected in (
            ("token-sys", dict(identifier=(NIR, ANNE)), (201, "P-1")),
            ("token-sys", dict(identifier=("1.2.250.1.213.1.4.8", "1 90 01 2a 004 001 63")), (201, "P-1")),
            ("token-sys", dict(identifier=("URN:OID:1.2.250.1.213.1.4.9", BLAISE)), (201, "P-2")),
            ("token-sys", dict(reference="Patient?identifier=%s|%s" % (NIR, ANNE)), (201, "P-1")),
            ("token-sys", dict(patient=[(NIR, NOBODY), ("urn:oid:9.8.7", LOCAL)]), (201, "P-1")),
            ("token-sys", dict(identifier=(NIR, ANNE[:-1] + "4")), (422, "structure")),
            ("token-sys", dict(identifier=(NIR, ANNE[:13])), (422, "structure")),
            ("token-sys", dict(identifier=(TEST, TEST_NUMBER)), (422, "not-found")),
            ("token-sys", dict(patient=[("urn:oid:9.8.7", LOCAL), (TEST, TEST_NUMBER)]), (422, "not-found")),
            ("token-sys", dict(patient=[("urn:oid:9.8.7", LOCAL), (NIA, BLAISE)]), (422, "business-rule")),
            ("token-sys", dict(identifier=(NIR, BLAISE)), (422, "not-found")),
            ("token-sys-b", dict(identifier=(NIR, ANNE)), (422, "not-found"))):
        base.equal(send(token, **how), expected, how)


def claims_of(metrics):
    return {name.split('"')[1]: int(value) for name, value in metrics.items() if name.startswith("vigie_foreign_claims_total")}


def traces():
    return site().cluster.query(
        "SELECT actor, role, subject, detail->>'claim', (detail->>'messages')::int, detail->>'first' "
        "FROM audit.event WHERE action = 'claim.foreign' ORDER BY event_id", None, "vigie")


def test_claims_on_others_are_counted_and_traced():
    node = site().node
    before = claims_of(node.metrics())
    base.wait_for("what came before is traced", lambda: sum(row[4] for row in traces()) == sum(before.values()), 10, 0.2)
    already = len(traces())
    base.equal(sorted(before), ["device", "device-elsewhere", "mismatch", "patient", "patient-elsewhere"], "every label is there")
    weight = ("29463-7", 70, "kg")
    sent = (("token-gw", dict(device="D-P-2"), 403, "gw", "device"),
            ("token-gw", dict(device="D-P-9"), 422, "gw", "device-elsewhere"),
            ("token-gw", dict(device="D-P-1", patient="P-2"), 422, "gw", "mismatch"),
            ("token-me", dict(patient="P-2"), 403, "me", "patient"),
            ("token-sys", dict(patient="P-9"), 422, "sys", "patient-elsewhere"))
    began = time.time()
    for token, who, status, _, _ in sent:
        client = node.https(token)
        for minute in range(3):
            body = message(None, "2026-11-20T08:%02d:00Z" % minute, weight, ("8867-4", 70, "/min"))
            del body["patient"]
            base.equal(client.readings(dict(body, **who)).status, status, who)
        client.close()
    client = node.https("token-sys")
    base.equal(client.readings(message("P-77", AT, weight)).status, 422, "nobody's: a mistake, no claim")
    client.close()
    after = claims_of(node.metrics())
    base.equal({kind: after[kind] - before[kind] for kind in after}, {kind: 3 for kind in after}, "counted, once a message")
    found = base.wait_for("the traces", lambda: len(traces()) >= already + 5 and traces()[already:], 10, 0.2)
    base.equal(sorted((row[0], row[2]) for row in found), sorted((ref, kind) for _, _, _, ref, kind in sent), "who and what")
    for _, role, _, claim, messages, first in found:
        base.check(role == "source" and len(claim) == 16 and int(claim, 16) > 0 and messages in (1, 2, 3), found)
        base.check(abs(check.to_ms(first) / 1000 - began) < 60, first)
    base.equal(len({row[3] for row in found}), 4, "D-P-2, D-P-9; P-2 twice; P-9", found)
    base.equal(site().cluster.query("SELECT audit.verify()", None, "vigie"), [(None,)], "the chain holds")
    with open(node.log) as file:
        lines = [line for line in file if "area=claims" in line]
    for _, _, _, ref, kind in sent:
        base.check(any("source=%s kind=%s claim=" % (ref, kind) in line for line in lines), "told", ref, kind, lines)
    node.restart()  # what waited for its minute is written at the stop
    count = site().cluster.query("SELECT sum((detail->>'messages')::int) FROM audit.event WHERE action = 'claim.foreign'", None, "vigie")
    base.equal(count, [(sum(after.values()),)], "every message that was counted is in a trace")


def by_mqtt(topic, resource, version):
    """The reason of the PUBACK."""
    with mqtt.Wire(site().node.ports["mqtt"]) as wire:
        wire.open("identity-%d" % version, "token-gw", version)
        wire.send(mqtt.publish(topic, json.dumps(resource).encode(), version=version))
        return wire.next(mqtt.PUBACK).reason


def by_hl7(number, cx, device):
    """The code of the acknowledgement's ERR, as the source `gw`."""
    at = "20261120083000+0100"
    text = "\r".join(["MSH|^~\\&|T|T|V|V|%s||ORU^R01^ORU_R01|%d|P|2.6|||AL|NE" % (at, number), "PID|||" + cx, "OBR|1|||T|||" + at,
                      "OBX|1|NM|29463-7^W^LN|1|70.%d|kg^kg^UCUM|||||F|||%s||||%s" % (number, at, device)])
    with socket.create_connection(("127.0.0.1", site().node.ports["mllp"]), 20) as line:
        line.sendall(b"\x0b" + text.encode() + b"\r\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            answer += line.recv(65536) or base.check(False, "MLLP ended")
    answer = answer.decode()
    base.check(ANNE not in answer and BLAISE[:13] not in answer, "no number in an acknowledgement", answer)
    found = re.search(r"\|E\|([a-z-]+)\^", answer)
    return found and found.group(1)


def test_every_door_judges_alike():
    """HL7 v2 and MQTT; a sender of MQTT 3.1.1 cannot be told, so what it sent is kept, sealed (the search below looks there)."""
    before = claims_of(site().node.metrics())
    nir, nia = ("&1.2.250.1.213.1.4.%d&ISO" % arc for arc in (8, 9))
    base.equal([by_hl7(1, ANNE + "^^^" + nir, "D-P-1"), by_hl7(2, "1 90 01 2a 004 001 63^^^" + nir + "^INS", "D-P-1"),
                by_hl7(3, ANNE[:-1] + "4^^^" + nir, "D-P-1"), by_hl7(4, BLAISE + "^^^" + nia, "D-P-1"),
                by_hl7(5, ANNE + "^^^" + nir + "~" + BLAISE + "^^^" + nia, "D-P-1"),
                by_hl7(6, TEST_NUMBER + "^^^&1.2.250.1.213.1.4.10&ISO", "D-P-1"), by_hl7(7, "", "D-P-2")],
               [None, None, "malformed", "patient-mismatch", "patient-mismatch", "unknown-patient", "forbidden"], "HL7 v2")
    resource = observation("-", "29463-7", 70.5, "kg", AT)
    for number, reason in ((ANNE, 0), (ANNE[:-1] + "4", 0x99)):
        resource["subject"] = {"identifier": {"system": NIR, "value": number}}
        base.equal(by_mqtt("vigie/v1/D-P-1/fhir", resource, 5), reason, number)
    resource["subject"] = {"identifier": {"system": NIA, "value": BLAISE}}
    base.equal([by_mqtt("vigie/v1/D-P-1/fhir", resource, 5), by_mqtt("vigie/v1/D-P-9/fhir", resource, 5)], [0x83, 0x87])
    base.equal(by_mqtt("vigie/v1/D-P-1/fhir", resource, 4), 0, "acknowledged, and kept")
    after = claims_of(site().node.metrics())
    base.equal({kind: after[kind] - before[kind] for kind in after},
               {"device": 1, "device-elsewhere": 1, "mismatch": 4, "patient": 0, "patient-elsewhere": 0}, "counted at every door")
    base.wait_for("vigie.rejected", lambda: site().cluster.query("SELECT code FROM vigie.rejected", None, "vigie") ==
                  [("patient-mismatch",)], 10, 0.2)


def test_whoever_goes_on_is_an_alert():
    node = site().node
    client = node.https("token-gw")
    strange = [{"device": "D-P-2", "time": AT, "readings": [{"code": "29463-7", "value": 70, "unit": "kg"}]}] * 50

    def alerts():
        return site().cluster.query("SELECT state, priority FROM vigie.alert WHERE rule_id = 'technical.foreign-claims'", None, "vigie")

    base.equal(client.readings(strange).status, 403)
    time.sleep(1.5)
    base.equal(alerts(), [], "fifty may be a mistake")
    base.equal(client.readings(strange).status, 403)
    client.close()
    base.wait_for("the alert", lambda: alerts() == [("open", "medium")], 10, 0.2)


def needles():
    spaced = "2 55 08 14 168 025 38"
    return [number.encode() for number in (ANNE, ANNE.lower(), ANNE[:13], BLAISE, BLAISE[:13], spaced, NOBODY[:13],
                                           TEST_NUMBER[:13], LOCAL)]


def in_tables():
    """Every row of every table of the database as text, vigie_identity left out."""
    names = site().cluster.query("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
                                 "WHERE schemaname NOT IN ('vigie_identity', 'information_schema') AND schemaname !~ '^pg_'",
                                 None, "vigie")
    found = []
    for name, in names:
        for row, in site().cluster.query("SELECT t::text FROM %s t" % name, None, "vigie"):
            found += ["%s: %s" % (name, needle) for needle in needles() if needle in row.encode()]
    return found, len(names)


def in_files(paths):
    found, looked = [], 0
    for path in paths:
        with open(path, "rb") as file:
            content = file.read()
        looked += 1
        found += ["%s: %s" % (path, needle) for needle in needles() if needle in content]
    return found, looked


def files_below(directory):
    return [path for path in glob.glob(os.path.join(directory, "**"), recursive=True) if os.path.isfile(path)]


def test_no_number_in_clear():
    """After all that the tests above sent, and an alert about P-1 that its INS brought."""
    node = site().node
    client = node.https("token-sys")
    resource = observation("-", "2339-0", 400, "mg/dL", check.to_text(int(time.time() * 1000)))
    resource["subject"] = {"identifier": {"system": NIR, "value": ANNE}}
    base.equal(client.fhir(resource).status, 201)
    client.close()
    node.wait_drained("postgres", "kafka")
    clear = site().cluster.query("SELECT value FROM vigie_identity.patient_identifier WHERE system = %s", (NIR,), "vigie")
    base.equal(clear, [(ANNE,)], "the one place that has it in clear, in its one spelling")
    found, tables = in_tables()
    base.check(tables > 10, tables)
    base.equal(found, [], "in a table")
    records = consume.by_confluent(site().broker.bootstrap)
    base.check([record for record in records if record.json()["patient"] == "P-1"], "an alert about P-1", records)
    base.equal([needle for record in records for needle in needles()
                if needle in record.value + repr((record.key, record.headers)).encode()], [], "in the topic")
    for restart in (None, node.restart, lambda: (node.kill(), node.start())):
        if restart:
            restart()
        found, looked = in_files(files_below(node.state_dir) + [node.log])
        base.check(looked >= 5, looked)
        base.equal(found, [], "below state_dir or in the log")
    base.equal(in_files([os.path.join(site().directory, "pg", "postgresql.log")]), ([], 1), "in the log of PostgreSQL")


def test_the_search_finds_what_is_planted():
    path = os.path.join(site().node.state_dir, "planted")
    with open(path, "wb") as file:
        file.write(b"\0".join(needles()))
    base.equal(len(in_files(files_below(site().node.state_dir))[0]), len(needles()), "each")
    os.remove(path)
    site().cluster.query("CREATE TABLE vigie.planted AS SELECT %s AS text", (ANNE,), "vigie")
    base.check(any(fault.startswith("vigie.planted") for fault in in_tables()[0]), "in a table")
    site().cluster.query("DROP TABLE vigie.planted", None, "vigie")
