"""The public FHIR payloads behave as EXPECTED.jsonl lists them, through the real listener.

The payloads are read where they lie (their licences differ, none is copied here). HL7 v2, vendor JSON and SampledData
are not served yet: named and counted.
"""
import json
import os
from fractions import Fraction

from tests.harness import base, check, site as sites
from tests.harness.site import outcome_of

SAMPLES = os.path.join(base.ROOT, "..", "shared", "samples")
NOT_SERVED_FHIR = {"fhir-hddt-cgm-12x5min.json"}   # SampledData with samples
SYSTEM, OWN = "token-of-the-system", "token-of-the-patient"
BOUND = "(device binding)"


def rows_of_samples():
    path = os.path.join(SAMPLES, "EXPECTED.jsonl")
    if not os.path.exists(path):
        raise base.Unavailable("the shared samples are not beside the tree")
    with open(path) as file:
        return [json.loads(line) for line in file]


def payload(row):
    with open(os.path.join(SAMPLES, row["file"]), "rb") as file:
        return file.read()


def subjects(node, found):
    """All identifiers by which a payload calls a patient, as (system, value)."""
    if isinstance(node, list):
        for item in node:
            subjects(item, found)
    elif isinstance(node, dict):
        subject = node.get("subject", {})
        if isinstance(subject, dict):
            if subject.get("reference", "").startswith("Patient/"):
                found.add(("Patient", subject["reference"][len("Patient/"):]))
            if "identifier" in subject:
                found.add((subject["identifier"].get("system", ""), subject["identifier"]["value"]))
        for item in node.values():
            subjects(item, found)
    return found


def name_of(patient):
    """The identifier that a row of EXPECTED.jsonl means."""
    if patient.startswith("Patient/"):
        return "Patient", patient[len("Patient/"):]
    return tuple(patient.rsplit("|", 1))


def cohort(rows):
    names = set()
    for row in rows:
        subjects(json.loads(payload(row)), names)
    lines = sites.organization_rows() + [sites.rule_row(sites.SILENCE)]
    refs = {}
    for number, (system, value) in enumerate(sorted(names)):
        refs[system, value] = ref = "S-%d" % number
        lines += sites.patient_rows(ref, device=False)[:1]
        lines += [{"type": "identifier", "patient": ref, "system": system, "value": value}]
    lines += sites.patient_rows("S-own", device=False)[:1] + [
        sites.system_row("sys-a", SYSTEM), {"type": "source", "ref": "own", "kind": "patient", "patient": "S-own",
                                            "token": OWN}]
    refs[BOUND] = "S-own"
    return lines, refs


def judge(row, answer):
    """The status that a verdict means."""
    name, verdict = row["file"], row["verdict"]
    if name in NOT_SERVED_FHIR:
        base.check(400 <= answer.status < 500, name, "is refused clearly, never taken and forgotten:", answer)
        outcome_of(answer)
    elif verdict in ("accept", "bound"):
        base.check(answer.status in (200, 201), name, answer)
    elif verdict == "ignore":
        base.equal(answer.status, 200, name, answer)
        base.equal(outcome_of(answer)["severity"], "information", name)
    elif verdict == "reject":
        base.check(answer.status in (400, 422), name, answer)
        base.check(outcome_of(answer)["severity"] in ("error", "fatal"), name, answer)


def expected_rows(rows, refs):
    """{(patient ref, parameter, effective): (value, tolerance, unit)}"""
    expected = {}
    for row in rows:
        for reading in row["readings"] if row["file"] not in NOT_SERVED_FHIR else []:
            patient = reading["patient"]
            ref = refs[BOUND] if patient == BOUND else refs[name_of(patient)]
            text = str(reading["canonical_value"])
            places = len(text.partition(".")[2])
            expected[ref, reading["parameter"], reading["effective"]] = (
                Fraction(text), Fraction(1, 2 * 10 ** places), reading["canonical_unit"])
    return expected


def test_samples_behave_as_listed():
    everything = rows_of_samples()
    rows = [row for row in everything if row["iface"] == "fhir" and row["verdict"] != "reference"]
    lines, refs = cohort(rows)
    with sites.Site("fhir-samples") as site:
        site.node.import_rows(lines)
        clients = {False: site.node.https(SYSTEM), True: site.node.https(OWN)}
        faults = []
        for row in rows:
            body = payload(row)
            path = "/fhir" if json.loads(body)["resourceType"] == "Bundle" else "/fhir/Observation"
            alone = row["verdict"] in ("bound", "ignore") and not subjects(json.loads(body), set())
            answer = clients[alone].post(path, body, "application/fhir+json")
            try:
                judge(row, answer)
            except base.Failure as failure:
                faults.append(str(failure))
        site.node.wait_drained("postgres")
        stored = site.cluster.query("""
            SELECT p.ref, m.name, r.value, m.unit, r.measured_at, r.time_precision, r.utc_offset_min,
                   (r.measured_at AT TIME ZONE p.time_zone)::text
              FROM vigie.reading r JOIN vigie.patient p USING (patient_id)
              JOIN vigie.parameter m USING (parameter_id)""", database="vigie")
        expected = expected_rows(rows, refs)
        for ref, parameter, value, unit, measured_at, precision, offset, local in stored:
            match = [key for key in expected if key[:2] == (ref, parameter) and same_time(
                key[2], measured_at, precision, local)]
            if not match:
                faults.append("stored, not listed: %s %s %s %s" % (ref, parameter, value, measured_at))
                continue
            wanted, tolerance, wanted_unit = expected.pop(match[0])
            if abs(Fraction(value, 1000000) - wanted) > tolerance or unit != wanted_unit:
                faults.append("%s: stored %s %s, listed %s %s" % (match[0], value, unit, wanted, wanted_unit))
        faults += ["listed, not stored: %s %s" % item for item in expected.items()]
        base.check(not faults, "\n".join(faults))
        again = [clients[False].post("/fhir/Observation", payload(row), "application/fhir+json").status
                 for row in rows if row["verdict"] == "accept" and "bundle" not in row["file"]]
        site.node.wait_drained("postgres")
        check.stored_once(check.stored_readings(site.cluster))
        base.check(set(again) <= {200, 201}, "sent again", again)
    served = len(rows) - len(NOT_SERVED_FHIR)
    waiting = [row for row in everything if row["iface"] != "fhir" and row["verdict"] != "reference"]
    print("        served: %d FHIR payloads; not yet served: %d (%d HL7 v2, %d vendor JSON, %d SampledData)" % (
        served, len(waiting) + len(NOT_SERVED_FHIR), sum(row["iface"] == "hl7v2" for row in waiting),
        sum(row["iface"] == "mqtt-json" for row in waiting), len(NOT_SERVED_FHIR)))
    print("        not yet served: " + " ".join([row["file"] for row in waiting] + sorted(NOT_SERVED_FHIR)))


def same_time(effective, measured_at, precision, local):
    if "T" not in effective:
        return precision == "day" and local == effective + " 00:00:00"
    return precision == "time" and check.to_ms(effective) == check.to_ms(measured_at)


def test_vendor_json_is_refused_clearly():
    rows = [row for row in rows_of_samples() if row["iface"] == "mqtt-json"]
    with sites.Site("vendor-json") as site:
        site.node.import_rows(sites.organization_rows() + [sites.rule_row(sites.SILENCE)] + sites.patient_rows("P-1")
                              + [sites.system_row("sys-a", SYSTEM)])
        client = site.node.https(SYSTEM)
        for row in rows:
            answer = client.post("/v1/readings", payload(row), "application/json")
            wanted = (400,) if row["file"] == "iomt-invalid-json.txt" else (400, 422)
            base.check(answer.status in wanted, row["file"], answer)
        answer = client.readings(sites.message("P-1", "2026-01-01T00:00:00Z", ("29463-7", 70, "kg")))
        base.equal(answer.status, 200, "the connection survives", answer)
