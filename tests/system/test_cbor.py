"""CBOR on /v1/readings through the real listener, written by a foreign encoder: the same as JSON, byte for byte."""
import datetime
import decimal
import functools
import json

import cbor2

from tests.harness import base, check, site as sites
from tests.system import test_ingest_errors as errors

SYSTEM, GATEWAY, BOTH = errors.SYSTEM, errors.GATEWAY, errors.BOTH
NUMBERS = {"patient": 0, "device": 1, "id": 2, "time": 3, "readings": 4, "code": 5, "value": 6, "unit": 7, "status": 9,
           "comparator": 10, "origin": 11, "sensor": 12, "events": 13, "issued": 14}
NOON = check.to_ms("2026-11-20T12:00:00Z")
MOMENT = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.timezone.utc)


@functools.lru_cache(None)
def site():
    place = sites.Site("cbor", settings={"node": {"test_clock": "2026-12-01T00:00:00Z"}})
    rows = sites.organization_rows("ORG-A") + sites.organization_rows("ORG-B") + [sites.rule_row(sites.SILENCE)]
    for ref, organization in (("P-1", "ORG-A"), ("P-2", "ORG-A"), ("P-B", "ORG-B")):
        rows += sites.patient_rows(ref, organization)
    rows += [sites.gateway_row("gw-1", GATEWAY, ["D-P-1"]), sites.gateway_row("gw-2", BOTH, ["D-P-1", "D-P-2"]),
             sites.system_row("sys-a", SYSTEM)]
    place.node.import_rows(rows)
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def numbered(value):
    """With the integers of INTERFACES.md section 4 as keys; others stay."""
    if isinstance(value, list):
        return [numbered(item) for item in value]
    if isinstance(value, dict):
        return {NUMBERS.get(key, key): numbered(item) for key, item in value.items()}
    return value


def send(body, token=SYSTEM, content_type="application/cbor"):
    client = site().node.https(token)
    try:
        return client.post("/v1/readings", body if isinstance(body, bytes) else cbor2.dumps(body), content_type)
    finally:
        client.close()


def counts(answer):
    body = answer.json()
    return answer.status, body["accepted"], body["duplicate"], body["quarantined"], len(body["rejected"])


def reading(value, at=NOON, **more):
    return dict({"code": "29463-7", "value": value, "unit": "kg", "time": at}, **more)


def test_forms_of_values_and_times():
    """Whatever form a value or a time has: one measurement, stored as its text says."""
    values = [(7140, "7140"), (decimal.Decimal("71.40"), "71.40"), (71.4, "71.4"), (decimal.Decimal("7.14E+1"), "71.4"),
              (cbor2.CBORTag(2, b"\x47"), "71"), (-0.0, "-0"), (71.30000000000001, "71.30000000000001"),
              (cbor2.CBORTag(4, [-2, cbor2.CBORTag(2, b"\x1b\xe4")]), "71.40")]
    items = [reading(value, NOON + i, sensor="v%d" % i) for i, (value, _) in enumerate(values)]
    base.equal(counts(send({"patient": "P-1", "readings": items}))[:1], (200,))
    times = [NOON, float(NOON), MOMENT, cbor2.CBORTag(1, NOON // 1000), cbor2.CBORTag(1, NOON / 1000), cbor2.CBORTag(0, "2026-11-20T12:00:00Z"),
             "2026-11-20T12:00:00Z", "2026-11-20T13:00:00+01:00"]
    for i, time in enumerate(times):
        answer = send({0: "P-1", 4: [{5: "8867-4", 6: 72, 7: "/min", 3: time}]})
        base.equal(counts(answer), (200, int(i == 0), int(i > 0), 0, 0), time)
    answer = send({"patient": "P-1", "time": MOMENT.replace(microsecond=123456), "readings": [
        {"code": "2339-0", "value": 90, "unit": "mg/dL"}]})
    base.equal(counts(answer), (200, 1, 0, 0, 0))
    site().node.wait_drained("postgres")
    texts = dict(site().cluster.query("SELECT sensor, original_text FROM vigie.reading WHERE sensor LIKE 'v%'", database="vigie"))
    held = {"v%d" % i: text for i, (_, text) in enumerate(values) if text not in ("7140", "-0")}
    base.equal(texts, held, "the value as sent; the impossible ones are in quarantine")
    at, = site().cluster.query("SELECT measured_at FROM vigie.reading JOIN vigie.parameter USING (parameter_id) "
                               "WHERE name = 'glucose-blood'", database="vigie")[0]
    base.equal(check.to_ms(at), NOON + 123, "cut to milliseconds, as a text is")


def test_a_json_message_and_its_cbor_are_one():
    """The one sent later is the duplicate of the other, whichever form its keys have."""
    client = site().node.https(SYSTEM)
    for i, encode in enumerate((cbor2.dumps, lambda body: cbor2.dumps(numbered(body)),
                                lambda body: cbor2.dumps(cbor2.CBORTag(55799, numbered([body, body]))))):
        body = sites.message("P-2", check.to_text(NOON + i), ("29463-7", 71.4, "kg"), ("59408-5", 97, "%"), device="D-P-2")
        first, second = send(encode(body)), client.readings(body)
        base.equal(counts(first), (200, 2, 2 * (i == 2), 0, 0))
        base.equal(counts(second), (200, 0, 2, 0, 0))
    event = {"patient": "P-2", "device": "D-P-2", "events": [
        {"class": "apnoea", "episode": "e-1", "phase": "start", "time": check.to_text(NOON)}]}
    base.equal(counts(send(numbered(event))), (200, 1, 0, 0, 0))
    base.equal(counts(client.readings(event)), (200, 0, 1, 0, 0))


def test_refusals_are_those_of_json():
    clients = {token: site().node.https(token) for token in (SYSTEM, GATEWAY, BOTH)}
    for what, token, body, status, code in errors.REFUSED:
        expected = clients[token].readings(body)
        for form in (body, numbered(body)):
            answer = clients[token].post("/v1/readings", cbor2.dumps(form), "application/cbor")
            base.equal((answer.status, answer.body), (expected.status, expected.body), what)
        base.equal(expected.status, status, what)
        rejected = expected.json().get("rejected") or [expected.json()]
        base.equal(rejected[0]["code"], code, what)


def test_understood_but_no_message():
    cases = [({8: 1, 0: "P-1", 4: [reading(1)]}, "unknown-key"), ({"header": {}, "body": {}}, "not-supported"),
             ({0: "P-1", 4: [{**numbered(reading(1)), 8: 1}]}, "unknown-key"), ([1], "malformed"),
             ({0: "P-1", 4: [b"x"]}, "malformed"), ({0: b"P-1", 4: [reading(1)]}, "malformed"),
             ({0: "P-1", 4: [reading(2 ** 64)]}, "value-invalid"), ({0: "P-1", 4: [reading(1e300)]}, "value-invalid"),
             ({0: "P-1", 4: [reading(cbor2.CBORTag(5, [1, 3]))]}, "value-invalid"),
             ({0: "P-1", 4: [reading("71.4")]}, "value-invalid"), ({0: "P-1", 4: [reading(decimal.Decimal("1E-19"))]}, "value-invalid"),
             ({0: "P-1", 4: [reading(1, 2 ** 62)]}, "malformed"), ({0: "P-1", 4: [reading(1, 1.5)]}, "malformed"),
             ({0: "P-1", 4: [reading(1, None)]}, "time-missing"), ({0: "P-1", 4: []}, "value-missing")]
    for body, code in cases:
        answer = send(body)
        base.equal(answer.status, 422, body)
        base.equal(answer.json()["rejected"][0]["code"], code, body)


def test_not_well_formed():
    good = cbor2.dumps(numbered(errors.GOOD))
    cases = {"cut": good[:-3], "empty": b"", "behind": good + b"\x00", "JSON": json.dumps(errors.GOOD).encode(),
             "a key as text and as integer": cbor2.dumps({0: "P-1", "patient": "P-1", 4: []}),
             "a key twice": b"\xa2\x00\x61a\x00\x61a", "NaN": cbor2.dumps({0: "P-1", 4: [reading(float("nan"))]}),
             "infinity": cbor2.dumps({0: "P-1", 4: [reading(float("-inf"))]}), "deep": b"\x81" * 100 + b"\x00",
             "not UTF-8": b"\xa1\x00\x61\xff", "U+0000": cbor2.dumps({0: "P\0"}), "a text": cbor2.dumps("reading"),
             "a byte string as key": cbor2.dumps({b"patient": "P-1"}), "a count of 2^63": b"\x9b\x80" + b"\0" * 7,
             "a break": b"\xff", "reserved": b"\x1c"}
    for what, body in cases.items():
        answer = send(body)
        base.equal((answer.status, answer.json()["code"]), (400, "bad-request"), what, answer)
        base.check(answer.json()["text"], what)
    for content_type, status in (("application/cbor-seq", 415), ("text/plain", 415), ("application/json", 400)):
        base.equal(send(good, content_type=content_type).status, status, content_type)


def test_ten_thousand_readings_and_one_more():
    items = [numbered(reading(70 + i % 10, NOON - 1000 - i)) for i in range(10000)]
    base.equal(counts(send({0: "P-1", 4: items})), (200, 10000, 0, 0, 0))
    answer = send({0: "P-1", 4: items + items[:1]})
    base.equal((answer.status, answer.json()["code"]), (422, "too-many"))
