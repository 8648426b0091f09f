"""A whole site for one test file: PostgreSQL, if wanted a real Kafka, a node, and a small cohort."""
import hashlib
import os

from tests.harness import base, kafka, pg, vigied

LINE = "test-line"
SILENCE = {"id": "test.silence", "line": LINE, "kind": "silence", "max_gap": "31d", "priority": "low",
           "parameters": ["body-weight", "glucose-blood", "heart-rate"], "text": {"fr": "Silence", "en": "Silence"},
           "source": "test", "tag": "TEST"}
GLUCOSE = {"id": "test.glucose", "line": LINE, "kind": "limit", "parameter": "glucose-blood", "unit": "mg/dL",
           "levels": [{"priority": "medium", "below": 70}, {"priority": "high", "below": 54},
                      {"priority": "medium", "above": 250}],
           "hysteresis": 5, "text": {"fr": "Glycémie", "en": "Glucose"}, "source": "test", "tag": "TEST"}
WEIGHT = {"id": "test.weight", "line": LINE, "kind": "change", "parameter": "body-weight", "unit": "kg", "rise": 2.0,
          "within": "84h", "priority": "medium", "text": {"fr": "Poids", "en": "Weight"}, "source": "test",
          "tag": "TEST"}
NO_BROKER = "127.0.0.1:1"


class Site:
    """`broker`: a real Kafka runs; else the node waits for one that never comes, which stops nothing."""

    def __init__(self, name, broker=False, settings=None, start=True):
        self.directory = base.work_directory(name)
        self.cluster = pg.Cluster(os.path.join(self.directory, "pg")).start()
        self.cluster.create_database("vigie")
        self.broker = kafka.Broker(os.path.join(self.directory, "kafka")).start() if broker else None
        self.node = vigied.Node(os.path.join(self.directory, "node"), self.cluster.conninfo("vigie"),
                                self.broker.bootstrap if broker else NO_BROKER, settings)
        self.node.ctl("db", "migrate")
        if broker:
            self.node.ctl("kafka", "create", "--partitions", "3", "--replication", "1")
        if start:
            self.node.start()

    def close(self):
        """Stops everything; the files stay for whoever looks for the cause of a failure."""
        try:
            self.node.stop()
        finally:
            if self.broker:
                self.broker.stop()
            self.cluster.stop("immediate")

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.close()
            return
        try:
            self.close()
        except base.Failure as failure:
            print("while closing: %s" % failure)


def rule_row(rule, valid_from="2020-01-01T00:00:00Z", **layer):
    """A rule of the line, or of patient=, team=, organization=."""
    row = {"type": "rule", "author": "Dr Test", "role": "physician", "reason": "test", "valid_from": valid_from,
           "rule": rule}
    row.update(layer or {"line": LINE})
    return row


def organization_rows(ref="ORG-A"):
    return [{"type": "organization", "ref": ref, "name": ref}]


def patient_rows(ref, organization="ORG-A", enrolled_at="2026-01-01T00:00:00Z", device=True, rules=()):
    """A patient, how FHIR calls it (Patient/<ref>), its device D-<ref> and its own rules."""
    rows = [{"type": "patient", "ref": ref, "organization": organization, "line": LINE, "time_zone": "Europe/Paris",
             "enrolled_at": enrolled_at},
            {"type": "identifier", "patient": ref, "system": "Patient", "value": ref}]
    if device:
        rows += [{"type": "device", "ref": "D-" + ref, "kind": "scale", "manufacturer": "Maker", "model": "One",
                  "serial": "S-" + ref},
                 {"type": "assignment", "device": "D-" + ref, "patient": ref, "from": "2020-01-01T00:00:00Z",
                  "to": None}]
    return rows + [rule_row(rule, patient=ref) for rule in rules]


def system_row(ref, token, organization="ORG-A"):
    return {"type": "source", "ref": ref, "kind": "system", "organization": organization,
            "token_sha256": hashlib.sha256(token.encode()).hexdigest()}


def gateway_row(ref, token, devices, organization="ORG-A"):
    return {"type": "source", "ref": ref, "kind": "gateway", "devices": devices, "organization": organization,
            "token": token}


def message(patient, time, *readings, **more):
    """A message of /v1/readings; a reading is (code, value, unit) or a dictionary."""
    body = {"patient": patient, "time": time,
            "readings": [reading if isinstance(reading, dict) else dict(zip(("code", "value", "unit"), reading))
                         for reading in readings]}
    body.update(more)
    return body


def observation(patient, code, value, unit, time, **more):
    """A FHIR Observation of one value."""
    resource = {"resourceType": "Observation", "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
                "subject": {"reference": "Patient/" + patient}, "effectiveDateTime": time,
                "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}}
    resource.update(more)
    return resource


def outcome_of(answer):
    """The OperationOutcome that an answer must be, and its first issue."""
    base.check("fhir+json" in answer.headers.get("Content-Type", ""), "content type of", answer)
    resource = answer.json()
    base.equal(resource.get("resourceType"), "OperationOutcome", "resource of", answer)
    base.check(resource.get("issue"), "an issue in", answer)
    return resource["issue"][0]
