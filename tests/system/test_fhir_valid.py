"""What vigied emits is FHIR R4: every resource that it answers here passes HAPI's instance validator.

The answers are those of a node to good, bad and other people's payloads; the validator shows first that it tells a good
Observation from a bad one.
"""
import json
import os
import subprocess

from tests.harness import base, maven, site as sites
from tests.harness.site import observation
from tests.system import test_fhir_samples as samples

PLAIN_ONLY = "what is emitted is the same text, and the validator is a Java program"
MAIN = os.path.join(base.ROOT, "tests", "hapi", "Validate.java")
FHIR = "application/fhir+json"
GOOD = observation("p", "29463-7", 70.5, "kg", "2026-11-21T08:30:00+01:00")
BAD = dict(GOOD, status="finished")
SEARCH = {"If-None-Exist": "identifier=urn:x|1"}
OUTCOME_CODES = {"informational", "duplicate", "business-rule", "structure", "not-found", "forbidden", "code-invalid",
                 "required", "value", "not-supported", "invalid", "incomplete", "too-long", "too-costly", "login",
                 "throttled", "multiple-matches"}


def weight(value=70, minute=0, **more):
    return observation("P-1", "29463-7", value, "kg", "2026-01-02T08:%02d:00Z" % minute, **more)


def bundle(kind, *resources):
    return {"resourceType": "Bundle", "type": kind, "entry": [
        {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}
        for resource in resources]}


def device(value):
    return {"resourceType": "Device", "id": "d", "identifier": [{"value": value}]}


def panel(*parts):
    return {"resourceType": "Observation", "status": "final", "code": {"text": "panel"},
            "subject": {"reference": "Patient/P-1"}, "effectiveDateTime": "2026-01-02T09:00:00Z", "component": [
                {"code": {"coding": [{"system": "http://loinc.org", "code": code}]},
                 "valueQuantity": {"value": 80, "system": "http://unitsofmeasure.org", "code": unit}}
                for code, unit in parts]}


def requests():
    """(path, body, headers) of what the doors have to say something about."""
    glucose = {"meta": {"profile": ["https://interop.esante.gouv.fr/ig/fhir/mesures/StructureDefinition/"
                                    "mesures-observation-glucose"]}}
    one = "/fhir/Observation"
    yield one, weight(), {}
    yield one, weight(), {}                                        # duplicate
    yield one, weight(900), {}                                     # kept aside
    yield one, weight(status="unknown"), {}
    yield one, weight(status="cancelled"), {}
    yield one, weight(status="corrected"), {}                      # no version time
    yield one, weight(subject={"reference": "Patient/nobody \"&\" \\ é"}), {}
    yield one, weight(valueQuantity={"value": 70}), {}
    yield one, weight(unknownElement=1), {}
    yield one, observation("P-1", "2345-7", 100, "mg/dL", "2026-01-02T08:00:00Z", **glucose), {}
    yield one, observation("P-1", "1-1", 70, "kg", "2026-01-02T08:00:00Z"), {}
    yield one, observation("P-1", "29463-7", 70, "cm", "2026-01-02T08:00:00Z"), {}
    yield one, observation("P-1", "29463-7", 1e30, "kg", "2026-01-02T08:00:00Z"), {}
    yield one, panel(("8480-6", "mm[Hg]"), ("1-1", "kg"), ("8462-4", "kg")), {}
    yield one, panel(("1-1", "kg"), ("8462-4", "kg")), {}
    yield one, dict(weight(), valueSampledData={
        "origin": {"value": 0, "system": "http://unitsofmeasure.org", "code": "kg"}, "period": 1000, "dimensions": 1,
        "data": "70 " * 10001}, valueQuantity=None), {}
    yield one, weight(71, 1, identifier=[{"system": "urn:x", "value": "1"}]), {}
    yield one, weight(72, 2, identifier=[{"system": "urn:x", "value": "1"}]), {}
    yield one, weight(73, 3), SEARCH                               # 412
    yield one, {"resourceType": "Patient"}, {}
    yield one, b"{", {}
    yield one, b"[]", {}
    yield one, b"\xff", {}
    yield one, weight(), {"Accept": "application/fhir+xml"}
    yield one, weight(), {"Content-Type": "application/xml"}
    yield one, weight(), {"Authorization": "Bearer nobody"}
    yield "/fhir/Patient", weight(), {}
    yield "/fhir/metadata", weight(), {}
    yield "/fhir", weight(), {}
    yield "/fhir", bundle("collection"), {}
    yield "/fhir", bundle("transaction"), {}
    yield "/fhir", bundle("transaction", device("D-P-1")), {}
    yield "/fhir", bundle("batch", *[device("x")] * 1001), {}
    for kind in ("batch", "transaction"):
        yield "/fhir", bundle(kind, weight(74, 4), weight(74, 4), weight(900, 5)), {}
        yield "/fhir", bundle(kind, weight(75, 6, device={"reference": "Device/d"}), device("D-P-1")), {}
        yield "/fhir", bundle(kind, weight(76, 7, device={"reference": "Device/d"}), device("unknown é \"x\" <y>")), {}
        yield "/fhir", bundle(kind, weight(77, 8), weight(status="unknown"), {"resourceType": "Group"}), {}
        yield "/fhir", bundle(kind, weight(78, 9), weight(status="registered"),
                              panel(("8480-6", "mm[Hg]"), ("1-1", "kg"))), {}


def collect(client, keep):
    for number, (path, body, headers) in enumerate(requests()):
        if isinstance(body, dict):
            body = json.dumps({key: value for key, value in body.items() if value is not None}).encode()
        keep("%03d" % number, client.request("POST", path, body, headers.get("Content-Type", FHIR), headers))
    keep("metadata", client.request("GET", "/fhir/metadata"))
    keep("method", client.request("DELETE", "/fhir/Observation"))


def collect_samples(client, keep, rows):
    for row in rows:
        body = samples.payload(row)
        path = "/fhir" if json.loads(body)["resourceType"] == "Bundle" else "/fhir/Observation"
        keep("sample-" + row["file"][:-5], client.post(path, body, FHIR))


def issues_of(resource):
    """All issues of an outcome, and of those inside a bundle."""
    if resource["resourceType"] == "Bundle":
        return [issue for entry in resource["entry"] if "outcome" in entry["response"]
                for issue in issues_of(entry["response"]["outcome"])]
    return resource.get("issue", [])


def validate(directory):
    """{file: [errors]}"""
    maven.fetch("hapi", "HAPI FHIR")
    done = subprocess.run(["java", "-Xmx700m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                           "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", maven.library("hapi") + "/*", MAIN,
                           directory], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    found = {}
    for line in done.stdout.decode().splitlines():
        kind, name, *rest = line.split("\t")
        found.setdefault(name, [])
        if kind == "error":
            found[name].append(": ".join(rest))
    base.equal(done.returncode, 1 if any(found.values()) else 0, done.stderr.decode()[-2000:])
    return found


def test_what_is_emitted_is_valid():
    rows = [row for row in samples.rows_of_samples() if row["iface"] == "fhir" and row["verdict"] != "reference"]
    directory = base.work_directory("fhir-emitted")
    codes, kinds = set(), set()

    def keep(name, answer):
        base.check("fhir+json" in answer.headers.get("Content-Type", ""), name, answer)
        resource = answer.json()
        kinds.add(resource.get("type", resource["resourceType"]))
        codes.update(issue["code"] for issue in issues_of(resource))
        with open(os.path.join(directory, name + ".json"), "wb") as file:
            file.write(answer.body)

    with sites.Site("fhir-valid", settings={"node": {"test_clock": "2026-01-02T12:00:00Z"}}) as site:
        lines, _ = samples.cohort(rows)
        site.node.import_rows(lines + sites.patient_rows("P-1"))
        client = site.node.https(samples.SYSTEM)
        collect(client, keep)
        collect_samples(client, keep, rows)
        site.node.wait_drained("postgres")
        kept = site.cluster.query("SELECT code, count(*) FROM vigie.rejected GROUP BY code", database="vigie")
        base.equal({code: int(count) for code, count in kept}, {"unknown-code": 3, "unit-mismatch": 1},
                   "components that were refused beside good ones")
        keep("forbidden", site.node.https(samples.OWN).fhir(weight()))
        site.node.settings["listen"]["quota_messages"] = "1"
        site.node.write_config()
        site.node.restart()
        client = site.node.https(samples.SYSTEM)
        keep("quota", [client.post("/fhir/Observation", json.dumps(weight()).encode(), FHIR) for _ in range(20)][-1])
    base.equal(kinds, {"OperationOutcome", "batch-response", "transaction-response", "CapabilityStatement"}, "resources")
    base.check(codes >= OUTCOME_CODES, "issue codes not met:", OUTCOME_CODES - codes)
    for name, resource in (("check-good", GOOD), ("check-bad", BAD)):
        with open(os.path.join(directory, name + ".json"), "w") as file:
            json.dump(resource, file)
    found = validate(directory)
    base.equal(sorted(found), sorted(os.listdir(directory)), "files that were judged")
    base.equal(found.pop("check-good.json"), [], "a good Observation")
    base.check(any("finished" in error for error in found.pop("check-bad.json")), "a bad Observation is told apart")
    faults = ["%s: %s" % (name, error) for name, errors in sorted(found.items()) for error in errors]
    base.check(not faults, "\n".join(faults))
    print("        %d resources valid, issue codes: %s" % (len(found), " ".join(sorted(codes))))
