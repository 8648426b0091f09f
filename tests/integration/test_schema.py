"""The schema of alert events refuses what it should; a schema that takes everything proves nothing."""
import copy

from tests.harness import base, check, jsonschema

EVENT = {
    "event_id": "0f0e0d0c-0b0a-8908-8706-050403020100", "episode_id": "1f0e0d0c-0b0a-8908-8706-050403020100",
    "sequence": 1, "event": "raised", "side": "high", "priority": "medium", "class": "clinical", "patient": "P-1",
    "organization": "ORG-A", "line": "heart-failure",
    "rule": {"id": "hf.weight-gain-3d", "version": 3, "kind": "change", "layer": "patient", "parameters": {},
             "in_force_from": "2026-11-01T00:00:00.000Z"},
    "parameter": {"name": "body-weight", "loinc": "29463-7", "unit": "kg"},
    "value": 74.1, "measured_at": "2026-11-21T07:30:00.000Z", "received_at": "2026-11-21T07:30:01.000Z",
    "decided_at": "2026-11-21T07:30:01.000Z", "retrospective": False,
    "readings": [{"id": "2f0e0d0c-0b0a-8908-8706-050403020100", "measured_at": "2026-11-18T07:30:00Z", "value": 71.9}],
    "raised_at": "2026-11-21T07:30:00.000Z", "cleared_at": None, "state": "open",
    "priorities": [["2026-11-21T07:30:00.000Z", "medium"]], "reason": None, "into": None, "readings_in_breach": 1,
    "text": {"fr": "a", "en": "b"}, "test": True,
}

FAULTS = [
    ("event_id", "0f0e0d0c-0b0a-4908-8706-050403020100"), ("sequence", 0), ("sequence", True), ("event", "started"),
    ("side", None), ("priority", "none"), ("patient", None), ("parameter", None), ("value", "74.1"),
    ("measured_at", "2026-11-21T08:30:00+01:00"), ("readings", EVENT["readings"] * 33), ("readings", [{}]),
    ("cleared_at", "2026-11-21T07:30:00.000Z"), ("priorities", []), ("priorities", [["2026-11-21T07:30:00.000Z"]]),
    ("priorities", [["medium", "medium"]]), ("reason", "merged"), ("test", False), ("text", {"fr": "a"}),
    ("state", "cleared"),
]


def test_a_good_event_is_taken():
    base.equal(jsonschema.errors(EVENT, check.schema()), [])


def test_each_fault_is_found():
    for name in list(check.schema()["required"]):
        event = copy.deepcopy(EVENT)
        del event[name]
        base.check(jsonschema.errors(event, check.schema()), name, "may be missing")
    for name, value in FAULTS:
        event = dict(copy.deepcopy(EVENT), **{name: value})
        base.check(jsonschema.errors(event, check.schema()), name, "may be", value)
