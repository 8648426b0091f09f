"""All public payloads, each through the door it belongs to, on one node: every row of EXPECTED.jsonl is exercised by what
the row says, and the tables hold exactly the readings that the rows list. A row left out fails.

Where a row and INTERFACES.md differ, INTERFACES.md holds: vendor JSON is refused in words for now. What the rows list as
reference is no payload: its shape is compared with our own answers, and sent in, it is refused."""
import collections
import hashlib
import json
import os

from tests.harness import base, hl7v2, mqtt, site as sites
from tests.harness.site import outcome_of
from tests.system import test_fhir_samples as fhir, test_hl7 as hl7

BESIDE = {"INDEX.md", "EXPECTED.jsonl", "acceptance.tar.gz.enc"}
VERDICTS = {"accept": 23, "reject": 9, "reference": 9, "ignore": 8, "bound": 8, "partial": 2}
GATEWAY = "token-of-the-gateway"


def cohort(rows):
    """Who the payloads speak of; {patient of a row, or its file: ref}."""
    lines, refs = fhir.cohort([row for row in rows if row["iface"] == "fhir" and row["verdict"] != "reference"])
    for name, (system, value) in hl7.PATIENTS.items():
        lines += sites.patient_rows(name[:-4], device=False, enrolled_at="2010-01-01T00:00:00Z")[:1]
        lines.append({"type": "identifier", "patient": name[:-4], "system": system, "value": value})
    lines += sites.patient_rows("P-vendor") + [sites.gateway_row("gw", GATEWAY, ["D-P-vendor"]),
                                               sites.system_row("monitor", "not-used")]
    return lines, refs


class Doors:
    """What a verdict means at each door; returns the row's readings that must be stored, as (ref, reading)."""

    def __init__(self, site, refs):
        self.node, self.refs = site.node, refs
        self.system, self.own = site.node.https(fhir.SYSTEM), site.node.https(fhir.OWN)
        self.mllp = hl7v2.Wire(site.node.ports["mllp"])
        self.mqtt = mqtt.Wire(site.node.ports["mqtts"], site.node.certificate)
        self.mqtt.open("vendor", GATEWAY, 5)

    def close(self):
        for one in (self.system, self.own, self.mllp, self.mqtt):
            one.close()

    def fhir(self, row, body):
        resource = json.loads(body)
        alone = row["verdict"] in ("bound", "ignore") and not fhir.subjects(resource, set())
        path = "/fhir" if resource["resourceType"] == "Bundle" else "/fhir/Observation"
        answer = (self.own if alone else self.system).post(path, body, "application/fhir+json")
        fhir.judge(row, answer)
        if row["verdict"] == "bound":  # without the binding it belongs to nobody
            base.equal(self.system.post(path, body, "application/fhir+json").status, 422, row["file"], "unbound")
        readings = fhir.series_of(row) if row["file"] == fhir.SERIES else row["readings"]
        return [(self.refs[fhir.BOUND] if one["patient"] == fhir.BOUND else self.refs[fhir.name_of(one["patient"])], one)
                for one in readings]

    def hl7v2(self, row, body):
        answer = self.mllp.ask(body)
        base.equal((answer.code, answer.control, answer.error), hl7.ANSWERS[row["file"]], row["file"])
        good = row["verdict"] in ("accept", "partial", "ignore", "bound")
        base.equal(answer.code in ("AA", "CA"), good, row["file"], "is acknowledged as its verdict says")
        return [(row["file"][:-4], one) for one in row["readings"]]

    def mqtt_json(self, row, body):
        """A clear refusal by HTTPS and by MQTT 5; both connections go on."""
        answer = self.system.post("/v1/readings", body, "application/json")
        base.equal(answer.status, 400 if row["file"] == "iomt-invalid-json.txt" else 422, row["file"], answer)
        reason = 0x99 if row["file"] == "iomt-invalid-json.txt" else 0x83
        said = answer.json()
        base.check(said.get("text") or said["rejected"][0]["text"], row["file"], "a text in", answer)
        for number, payload in ((1, body), (2, self.good())):
            self.mqtt.send(mqtt.publish("vigie/v1/D-P-vendor/readings", payload, 1, number, version=5))
            told = self.mqtt.next(mqtt.PUBACK)
            base.equal((told.number, told.reason), (number, reason if number == 1 else 0), row["file"])
        return []

    def good(self):
        return json.dumps({"time": "2026-01-01T00:00:00Z",
                           "readings": [{"code": "29463-7", "value": 70, "unit": "kg"}]}).encode()


def shape(value):
    """Keys and kinds, no content."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    return [shape(value[0])] if isinstance(value, list) else type(value).__name__


class References:
    """Ours beside theirs, and theirs sent in."""

    def __init__(self, doors):
        self.doors = doors

    def refused(self, row, body):
        answer = self.doors.system.post("/fhir/Observation", body, "application/fhir+json")
        base.check(answer.status in (400, 422), row["file"], answer)
        base.equal(outcome_of(answer)["severity"], "error", row["file"])
        return answer.json()

    def transaction_response(self, row, body):
        self.refused(row, body)
        theirs, asked = json.loads(body), fhir.payload({"file": "fhir-mes-bundle-weight-narrative.json"})
        ours = self.doors.system.post("/fhir", asked, "application/fhir+json").json()
        for one in (theirs, ours):
            base.equal((one["resourceType"], one["type"]), ("Bundle", "transaction-response"), row["file"])
            base.check(all(entry["response"]["status"][:3] in ("200", "201") for entry in one["entry"]), one)
        base.equal(len(ours["entry"]), len(json.loads(asked)["entry"]), "one entry per request entry")
        base.check(any("location" in entry["response"] for entry in ours["entry"]), ours)

    def operation_outcome(self, row, body):
        ours, theirs = self.refused(row, body), json.loads(body)
        base.equal(ours["resourceType"], theirs["resourceType"])
        base.check({"severity", "code"} <= set(shape(ours)["issue"][0]) & set(shape(theirs)["issue"][0]), ours)

    def alert(self, row, body):
        self.refused(row, body)

    def acknowledgement(self, row, body):
        theirs = hl7v2.Answer(body)
        modes = {"AA": "|", "CA": "AL|NE", "AR": "|"}[theirs.code]
        who, kind = ("P-none", "ADT^A01^ADT_A01") if theirs.code == "AR" else ("12345", "ORU^R01^ORU_R01")
        message = hl7v2.weight("REF", 1780000000000, 70, who=who, modes=modes, kind=kind).replace("&2.999.1&ISO", "")
        ours = self.doors.mllp.ask(message.replace("HOSP", ""))
        base.equal(ours.code, theirs.code, row["file"], ours)
        base.equal([one[0] for one in ours.segments[:2]], ["MSH", "MSA"], ours)
        base.check((ours.segment("ERR") is None) == (theirs.segment("ERR") is None), ours, theirs)
        answer = self.doors.mllp.ask(body)
        base.check(answer is None or answer.code in ("AR", "CR"), row["file"], "is no message for us:", answer)


def of_reference(references, row):
    name = row["file"]
    if row["iface"] == "hl7v2":
        return references.acknowledgement
    return {"ref-fhir-mes-transaction-response.json": references.transaction_response,
            "ref-fhir-r4-operationoutcome.json": references.operation_outcome,
            "ref-fhir-r4-flag.json": references.alert, "ref-fhir-r4-communication-alert.json": references.alert}[name]


def test_the_rows_are_the_files():
    rows, found = fhir.rows_of_samples(), set(os.listdir(fhir.SAMPLES)) - BESIDE
    base.equal(len(rows), 59, "rows")
    base.equal({row["file"] for row in rows}, found, "files")
    base.equal(dict(collections.Counter(row["verdict"] for row in rows)), VERDICTS, "verdicts")
    for row in rows:
        base.equal(hashlib.sha256(fhir.payload(row)).hexdigest(), row["sha256"], row["file"])


def test_every_row_through_its_door():
    rows = fhir.rows_of_samples()
    lines, refs = cohort(rows)
    judged, expected, faults = set(), [], []
    listen = {"mqtts": "127.0.0.1:0", "mllp": "127.0.0.1:0", "mllp_source": "monitor"}
    with sites.Site("samples", settings={"listen": listen}) as site:
        site.node.import_rows(lines)
        doors = Doors(site, refs)
        references = References(doors)
        for row in sorted(rows, key=lambda one: one["verdict"] != "reference"):  # they first: nothing of theirs is stored
            try:
                if row["verdict"] == "reference":
                    of_reference(references, row)(row, fhir.payload(row))
                else:
                    expected += getattr(doors, row["iface"].replace("-", "_"))(row, fhir.payload(row))
            except base.Failure as failure:
                faults.append(str(failure))
            judged.add(row["file"])
        doors.close()
        site.node.wait_drained("postgres")
        stored = site.cluster.query("""
            SELECT p.ref, m.name, r.value, m.unit, r.measured_at, r.time_precision,
                   (r.measured_at AT TIME ZONE p.time_zone)::text, r.sensor
              FROM vigie.reading r JOIN vigie.patient p USING (patient_id)
              JOIN vigie.parameter m USING (parameter_id)""", database="vigie")
    base.equal(judged, {row["file"] for row in rows}, "every row was judged")
    ours = [one for one in stored if one[0] == "P-vendor"]
    base.equal(len(ours), 1, "between the vendors' payloads, one and the same", ours)
    compare([one for one in stored if one[0] != "P-vendor"], expected, faults)
    base.check(not faults, "\n".join(faults))
    print("        %d rows judged, %d readings stored as listed" % (len(judged), len(expected)))


def compare(stored, expected, faults):
    """Each listed reading is one row of the tables, and nothing else is there."""
    own = ("hl7-comen-nc5-oru-sentinels", "body-weight", 70000000)  # of our own answers beside the references
    stored = [one for one in stored if one[:3] != own]
    for ref, reading in expected:
        wanted = float(reading["canonical_value"])
        places = len(str(reading["canonical_value"]).partition(".")[2])
        match = [one for one in stored if one[0] == ref and one[1] == reading["parameter"]
                 and abs(float(one[2]) / 1000000 - wanted) <= 0.5 * 10 ** -places + 1e-9 and one[3] == reading["canonical_unit"]
                 and fhir.same_time(reading["effective"], one[4], one[5], one[6])]
        if match:
            stored.remove(match[0])
        else:
            faults.append("listed, not stored: %s %s" % (ref, reading))
    faults += ["stored, not listed: %s" % (one,) for one in stored]
