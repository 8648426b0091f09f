"""The public FHIR payloads behave as EXPECTED.jsonl lists them, through the real listener.

The payloads are read where they lie (their licences differ, none is copied here). The vendor JSON among them is refused
in words, by the door it belongs to as by that of FHIR.
"""
import datetime
import json
import os
from fractions import Fraction

from tests.harness import base, check, site as sites
from tests.harness.site import outcome_of

SAMPLES = os.path.join(base.ROOT, "..", "shared", "samples")
FEED = "fhir-mes-bundle-weight-narrative.json"
SERIES = "fhir-hddt-cgm-12x5min.json"   # SampledData: the table says it in words, the numbers are in the payload
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


def shape(bundle):
    """Of a transaction's answer, what the published example has: each entry's location names its type."""
    return [bundle["type"]] + sorted(entry["response"]["location"].partition("/")[0] for entry in bundle["entry"])


def reference(rows):
    return json.loads(payload(next(row for row in rows if row["file"] == "ref-fhir-mes-transaction-response.json")))


def judge(row, answer):
    """The status that a verdict means."""
    name, verdict = row["file"], row["verdict"]
    if verdict in ("accept", "bound"):
        base.equal(answer.status, 200 if "bundle" in name else 201, name, answer)
    elif verdict == "ignore":
        base.equal(answer.status, 200, name, answer)
        base.equal(outcome_of(answer)["severity"], "information", name)
    elif verdict == "reject":
        base.check(answer.status in (400, 422), name, answer)
        base.check(outcome_of(answer)["severity"] in ("error", "fatal"), name, answer)


def series_of(row):
    """Each sample as a reading of its own: number i at start + i * period."""
    resource = json.loads(payload(row))
    sampled = resource["valueSampledData"]
    start = datetime.datetime.fromisoformat(resource["effectivePeriod"]["start"].replace("Z", "+00:00"))
    numbers = sampled["data"].split()
    base.equal((len(numbers), numbers[0], numbers[-1]), (12, "123", "133"), row["file"])
    for index, number in enumerate(numbers):
        at = start + datetime.timedelta(milliseconds=index * sampled["period"])
        yield dict(row["readings"][0], canonical_value=int(number), effective=at.isoformat())


def expected_rows(rows, refs):
    """{(patient ref, parameter, effective): (value, tolerance, unit)}"""
    expected = {}
    for row in rows:
        for reading in series_of(row) if row["file"] == SERIES else row["readings"]:
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
                if row["file"] == FEED:
                    base.equal(shape(answer.json()), shape(reference(everything)), "shape of the feed's answer", answer)
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
        again.append(clients[True].post("/fhir/Observation", payload(next(
            row for row in rows if row["file"] == SERIES)), "application/fhir+json").status)
        site.node.wait_drained("postgres")
        check.stored_once(check.stored_readings(site.cluster))
        base.check(set(again) <= {200, 201}, "sent again", again)


def same_time(effective, measured_at, precision, local):
    if "T" not in effective:
        return precision == "day" and local == effective + " 00:00:00"
    return precision == "time" and check.to_ms(effective) == check.to_ms(measured_at)


def test_vendor_json_is_refused_clearly():
    rows = [row for row in rows_of_samples() if row["iface"] == "mqtt-json"]
    base.equal(len(rows), 11, "vendor payloads")
    with sites.Site("vendor-json") as site:
        site.node.import_rows(sites.organization_rows() + [sites.rule_row(sites.SILENCE)] + sites.patient_rows("P-1")
                              + [sites.system_row("sys-a", SYSTEM)])
        client = site.node.https(SYSTEM)
        for row in rows:
            wanted = 400 if row["file"] == "iomt-invalid-json.txt" else 422
            answer = client.post("/v1/readings", payload(row), "application/json")
            base.equal(answer.status, wanted, row["file"], answer)
            if wanted == 422:
                rejected = answer.json()["rejected"][0]
                base.check(rejected["code"] == "not-supported" and "other makers" in rejected["text"], row["file"], answer)
            for path in ("/fhir", "/fhir/Observation"):
                answer = client.post(path, payload(row), "application/fhir+json")
                base.equal(answer.status, wanted, path, row["file"], answer)
                base.check(outcome_of(answer)["severity"] in ("error", "fatal"), path, row["file"], answer)
        answer = client.readings(sites.message("P-1", "2026-01-01T00:00:00Z", ("29463-7", 70, "kg")))
        base.equal(answer.status, 200, "the connection survives", answer)
        site.node.wait_drained("postgres")
        base.equal(len(check.stored_readings(site.cluster)), 1, "nothing of theirs is stored")
