"""Each kind of bad input has its own clear answer, and others are served meanwhile."""
import functools
import json
import socket
import threading
import time

from tests.harness import base, check, site as sites
from tests.harness.site import message, observation, outcome_of

TIME = check.to_text(int(time.time() * 1000) - 3600 * 1000)
GATEWAY, BOTH, SYSTEM, OTHER = "token-of-gw-1", "token-of-gw-2", "token-of-sys-a", "token-of-sys-b"


@functools.lru_cache(None)
def site():
    place = sites.Site("ingest-errors")
    rows = sites.organization_rows("ORG-A") + sites.organization_rows("ORG-B")
    rows += [sites.rule_row(sites.SILENCE), sites.rule_row(sites.GLUCOSE)]
    for ref, organization in (("P-1", "ORG-A"), ("P-2", "ORG-A"), ("P-B", "ORG-B")):
        rows += sites.patient_rows(ref, organization)
    rows += [sites.gateway_row("gw-1", GATEWAY, ["D-P-1"]),
             sites.gateway_row("gw-2", BOTH, ["D-P-1", "D-P-2"]), sites.system_row("sys-a", SYSTEM),
             sites.system_row("sys-b", OTHER, "ORG-B")]
    place.node.import_rows(rows)
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


class Others:
    """A sender of good readings in the background: every one of its messages must be acknowledged."""

    def __enter__(self):
        self.stopping, self.answers, self.number = threading.Event(), [], 0
        self.thread = threading.Thread(target=self._send)
        self.thread.start()
        return self

    def _send(self):
        client = site().node.https(OTHER)
        start = int(time.time() * 1000) - 10 ** 8
        while not self.stopping.wait(0.005):
            self.number += 1
            at = check.to_text(start + self.number)
            try:
                self.answers.append(client.readings(message("P-B", at, ("8867-4", 70, "/min"))).status)
            except Exception as error:
                self.answers.append(error)
        client.close()

    def __exit__(self, kind, error, trace):
        before = len(self.answers)
        if kind is None:
            base.wait_for("three more answers to the others", lambda: len(self.answers) >= before + 3, 15)
        self.stopping.set()
        self.thread.join()
        if kind is None:
            base.check(self.answers and set(self.answers) == {200}, "others are served meanwhile:", self.answers[:9])


GOOD = message("P-1", TIME, ("29463-7", 71.4, "kg"))
TEXT = json.dumps(GOOD).encode()

# (what, body, status, code): not even a message
BROKEN = [
    ("truncated", TEXT[:-9], 400, "bad-request"),
    ("empty", b"", 400, "bad-request"),
    ("duplicate key", TEXT.replace(b'"value": 71.4', b'"value": 71.4, "value": 74.1'), 400, "bad-request"),
    ("duplicate key of the message", TEXT[:-1] + b', "patient": "P-1"}', 400, "bad-request"),
    ("NaN", TEXT.replace(b"71.4", b"NaN"), 400, "bad-request"),
    ("Infinity", TEXT.replace(b"71.4", b"-Infinity"), 400, "bad-request"),
    ("leading zero", TEXT.replace(b"71.4", b"071"), 400, "bad-request"),
    ("not UTF-8", TEXT.replace(b"P-1", b"P-\xff"), 400, "bad-request"),
    ("trailing comma", TEXT[:-1] + b",}", 400, "bad-request"),
    ("something behind", TEXT + b"{}", 400, "bad-request"),
    ("too deep", b"[" * 100 + b"]" * 100, 400, "bad-request"),
    ("a string", b'"reading"', 400, "bad-request"),
    ("2 MiB", b'{"patient": "' + b"x" * (2 << 20) + b'"}', 413, "too-large"),
]


def changed(**fields):
    body = json.loads(TEXT)
    for name, value in fields.items():
        if name.startswith("r_"):
            body["readings"][0][name[2:]] = value
        else:
            body[name] = value
    return body


def without(body, *names):
    for name in names:
        (body["readings"][0] if name.startswith("r_") else body).pop(name.replace("r_", "", 1))
    return body


# (what, token, message, status, code of the first rejection)
REFUSED = [
    ("wrong unit", SYSTEM, changed(r_unit="mm[Hg]"), 422, "unit-mismatch"),
    ("no such unit", SYSTEM, changed(r_unit="stone"), 422, "unit-unknown"),
    ("display text as unit", SYSTEM, changed(r_unit="Kg"), 422, "unit-unknown"),
    ("no unit", SYSTEM, without(changed(), "r_unit"), 422, "unit-missing"),
    ("no such code", SYSTEM, changed(r_code="1-8"), 422, "unknown-code"),
    ("unknown patient", SYSTEM, changed(patient="P-9"), 422, "unknown-patient"),
    ("patient of another organisation", SYSTEM, changed(patient="P-B"), 422, "unknown-patient"),
    ("device of another organisation", GATEWAY, changed(patient="P-1", device="D-P-B"), 422, "unknown-device"),
    ("somebody else's device", GATEWAY, without(changed(device="D-P-2"), "patient"), 403, "forbidden"),
    ("not the device's patient", BOTH, changed(patient="P-2", device="D-P-1"), 422, "patient-mismatch"),
    ("no time", SYSTEM, without(changed(), "time"), 422, "time-missing"),
    ("no offset", SYSTEM, changed(time="2026-11-21T08:30:00"), 422, "time-offset"),
    ("no value", SYSTEM, without(changed(), "r_value"), 422, "value-missing"),
    ("too great a value", SYSTEM, changed(r_value=1e17), 422, "value-invalid"),
    ("misspelt comparator", SYSTEM, changed(r_comparater="<"), 422, "unknown-key"),
    ("unknown key of the message", SYSTEM, changed(note="x"), 422, "unknown-key"),
    ("no reading", SYSTEM, changed(readings=[]), 422, "value-missing"),
    ("no message", SYSTEM, [], 422, "value-missing"),
    ("too many readings", SYSTEM, changed(readings=[{"code": "8867-4", "value": 1, "unit": "/min"}] * 10001), 422,
     "too-many"),
    ("correction without version", SYSTEM, changed(r_status="corrected"), 422, "version-missing"),
    ("no such status", SYSTEM, changed(r_status="guessed"), 422, "status-unsupported"),
    ("device alarm without a class", SYSTEM, without(changed(events=[{"episode": "1", "phase": "start", "time": TIME}]),
                                                     "readings"), 422, "value-missing"),
]


def test_good_reading_is_acknowledged():
    client = site().node.https(SYSTEM)
    answer = client.readings(GOOD)
    base.equal((answer.status, answer.json()), (200, {"accepted": 1, "duplicate": 0, "quarantined": 0,
                                                      "rejected": []}))
    answer = client.readings(GOOD)
    base.equal((answer.status, answer.json()["duplicate"]), (200, 1), "sent again")


def test_broken_bodies():
    with Others():
        for what, body, status, code in BROKEN:
            client = site().node.https(SYSTEM)
            answer = client.post("/v1/readings", body, "application/json")
            base.equal((answer.status, answer.json().get("code")), (status, code), what, answer)
            base.check(answer.json().get("text"), "text of", what)
            client.close()


def test_messages_understood_but_refused():
    node = site().node
    with Others():
        clients = {token: node.https(token) for token in (SYSTEM, GATEWAY, BOTH)}
        for what, token, body, status, code in REFUSED:
            answer = clients[token].readings(body)
            base.equal(answer.status, status, what, answer)
            rejected = answer.json().get("rejected") or [answer.json()]
            base.equal(rejected[0]["code"], code, what, answer)
            base.check(rejected[0]["text"], "text of", what)


def test_an_array_is_judged_reading_by_reading():
    client = site().node.https(SYSTEM)
    body = [changed(patient="P-9"), changed(r_value=72.5), changed(r_unit="mm[Hg]")]
    answer = client.readings(body)
    base.equal(answer.status, 200, answer)
    base.equal([(item["message"], item["code"]) for item in answer.json()["rejected"]],
               [(0, "unknown-patient"), (2, "unit-mismatch")], answer)
    base.equal(answer.json()["accepted"], 1, answer)


def test_tokens():
    for token in (None, "wrong", ""):
        for path in ("/v1/readings", "/fhir/Observation", "/fhir"):
            client = site().node.https(token)
            answer = client.post(path, TEXT, "application/json")
            base.equal(answer.status, 401, path, answer)
            base.check(answer.headers.get("WWW-Authenticate", "").startswith("Bearer"), "challenge", answer.headers)
            if path.startswith("/fhir"):
                outcome_of(answer)
            else:
                base.equal(answer.json()["code"], "unauthenticated")
            client.close()


def test_doors_and_methods():
    client = site().node.https(SYSTEM)
    for method, path, status, code in [("POST", "/v2/readings", 404, "not-found"), ("GET", "/v1/readings", 405, "method"),
                                       ("PUT", "/v1/readings", 405, "method")]:
        answer = client.request(method, path)
        base.equal((answer.status, answer.json()["code"]), (status, code), method, path)
        base.equal("Allow" in answer.headers, status == 405, "Allow of", method, path)
    answer = client.post("/v1/readings", TEXT, "text/plain")
    base.equal((answer.status, answer.json()["code"]), (415, "media-type"), answer)
    answer = client.post("/v1/readings", TEXT, "application/json", {"Content-Encoding": "gzip"})
    base.equal((answer.status, answer.json()["code"]), (415, "media-type"), answer)
    base.equal(client.get("/fhir/metadata").json()["resourceType"], "CapabilityStatement", "metadata")
    base.equal(site().node.https().get("/fhir/metadata").status, 200, "metadata is open")


def raw(*pieces):
    """Sends bytes to the plain listener and returns the first status, 0 when it just closes."""
    with socket.create_connection(("127.0.0.1", site().node.ports["http"]), 15) as connection:
        for piece in pieces:
            connection.sendall(piece)
        answer = connection.recv(65536)
    return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def head(*lines, method=b"POST", path=b"/v1/readings"):
    fields = (b"Host: x", b"Authorization: Bearer " + SYSTEM.encode(), b"Content-Type: application/json") + lines
    return method + b" " + path + b" HTTP/1.1\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def test_http_itself():
    length = b"Content-Length: %d" % len(TEXT)
    chunked = b"Transfer-Encoding: chunked"
    with Others():
        base.equal(raw(head(length) + TEXT), 200, "the plain listener")
        base.equal(raw(head(chunked) + b"5\r\n" + TEXT[:5] + b"\r\n%x\r\n" % (len(TEXT) - 5) + TEXT[5:]
                       + b"\r\n0\r\n\r\n"), 200, "chunked")
        base.equal(raw(b"GARBAGE\r\n\r\n"), 400, "not HTTP")
        base.equal(raw(head(length).replace(b"Host: x\r\n", b"") + TEXT), 400, "no Host")
        base.equal(raw(head()), 411, "no length")
        base.equal(raw(head(b"X-Long: " + b"x" * 9000, length)), 431, "long header")
        base.equal(raw(head(length, length.replace(b"%d" % len(TEXT), b"1")) + TEXT), 400, "two lengths")
        base.equal(raw(head(length, chunked) + b"0\r\n\r\n"), 400, "length and chunked")
        base.equal(raw(head(length, b"Upgrade: h2c", b"Connection: upgrade") + TEXT), 400, "Upgrade")
        base.equal(raw(head(b"Content-Length: 3000000")), 413, "announced too long")
        base.equal(raw(head(b"X-Bad: a\x01b", length) + TEXT), 400, "control byte in a header")


def test_pipelined_answers_come_in_order():
    request = head(b"Content-Length: %d" % len(TEXT)) + TEXT
    bad = head(b"Content-Length: 2") + b"[]"
    with socket.create_connection(("127.0.0.1", site().node.ports["http"]), 15) as connection:
        connection.sendall(request + bad + request)
        received = b""
        while received.count(b"HTTP/1.1 ") < 3 or not received.endswith(b"}"):
            part = connection.recv(65536)
            base.check(part, "three answers in", received)
            received += part
    statuses = [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]
    base.equal(statuses, [200, 422, 200], "pipelined")


def test_plain_bytes_on_the_tls_port_are_closed_and_counted():
    node = site().node

    def failures():
        return sum(value for name, value in node.metrics().items() if "handshake" in name)

    before = failures()
    with Others():
        for payload in (TEXT, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00" * 100):
            with socket.create_connection(("127.0.0.1", node.ports["https"]), 15) as connection:
                connection.sendall(payload)
                connection.settimeout(15)
                try:
                    while connection.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
    base.wait_for("failed handshakes are counted", lambda: failures() >= before + 3, 5)


def test_fhir_errors_are_operation_outcomes():
    node = site().node
    good = observation("P-1", "29463-7", 70.5, "kg", TIME)
    text = json.dumps(good).encode()
    device = {"device": {"identifier": {"value": "D-P-2"}}}
    cases = [
        ("truncated", SYSTEM, text[:-9], 400),
        ("duplicate key", SYSTEM, text[:-1] + b', "status": "final"}', 400),
        ("2 MiB", SYSTEM, b'{"resourceType": "' + b"x" * (2 << 20) + b'"}', 413),
        ("wrong unit", SYSTEM, observation("P-1", "29463-7", 70, "mm[Hg]", TIME), 422),
        ("unknown patient", SYSTEM, observation("P-9", "29463-7", 70, "kg", TIME), 422),
        ("patient of another organisation", SYSTEM, observation("P-B", "29463-7", 70, "kg", TIME), 422),
        ("somebody else's device", GATEWAY, dict(observation("P-2", "29463-7", 70, "kg", TIME), **device), 403),
        ("no offset", SYSTEM, observation("P-1", "29463-7", 70, "kg", "2026-11-21T08:30:00"), 422),
        ("another resource", SYSTEM, {"resourceType": "Patient"}, 422),
        ("corrected without version", SYSTEM, dict(good, status="corrected"), 422),
    ]
    with Others():
        for what, token, body, status in cases:
            client = node.https(token)
            answer = client.post("/fhir/Observation", body, "application/fhir+json")
            base.equal(answer.status, status, what, answer)
            issue = outcome_of(answer)
            base.check(issue["severity"] in ("error", "fatal") and issue["code"], what, issue)
            client.close()
        for path, status in (("/fhir/Patient", 404), ("/fhir/Observation", 405)):
            answer = node.https(SYSTEM).request("DELETE" if status == 405 else "POST", path)
            base.equal(answer.status, status, path, answer)
            outcome_of(answer)
    answer = node.https(SYSTEM).fhir(good)
    base.equal(answer.status, 201, "a good one", answer)
    base.check(answer.headers.get("Location"), "Location of", answer.headers)
    base.equal(node.https(SYSTEM).fhir(good).status, 200, "sent again")


def test_transaction_is_all_or_nothing_and_batch_is_not():
    node = site().node
    at = check.to_text(int(time.time() * 1000) - 7200 * 1000)

    def entry(resource):
        return {"resource": resource, "request": {"method": "POST", "url": "Observation"}}

    good = observation("P-1", "8867-4", 66, "/min", at)
    bad = observation("P-1", "8867-4", 66, "kg", at)
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry(good), entry(bad)]}
    client = node.https(SYSTEM)
    answer = client.fhir(bundle)
    base.equal(answer.status, 422, "transaction with a bad entry", answer)
    outcome_of(answer)
    two = dict(bundle, entry=[entry(good), entry(observation("P-2", "8867-4", 66, "/min", at))])
    answer = client.fhir(two)
    base.equal((answer.status, outcome_of(answer)["code"]), (422, "business-rule"), "two patients", answer)
    base.check("batch" in json.dumps(answer.json()), "hint", answer)
    answer = client.fhir(dict(bundle, type="batch"))
    base.equal(answer.status, 200, answer)
    statuses = [item["response"]["status"][:3] for item in answer.json()["entry"]]
    base.equal(statuses, ["201", "422"], "batch: the transaction stored nothing", answer)
    answer = client.fhir(dict(bundle, entry=[entry(good)]))
    base.equal([item["response"]["status"][:3] for item in answer.json()["entry"]], ["200"], "held already", answer)
    many = dict(bundle, type="batch", entry=[entry({"resourceType": "Observation"})] * 1001)
    base.equal(client.fhir(many).status, 413, "1,001 entries")


def test_impossible_values_are_quarantined():
    node = site().node
    at = check.to_text(int(time.time() * 1000) - 5400 * 1000)
    answer = node.https(SYSTEM).readings(message("P-1", at, ("29463-7", 0, "kg"), ("2708-6", 101, "%")))
    base.equal((answer.status, answer.json()["quarantined"]), (200, 2), answer)
    later = check.to_text(int(time.time() * 1000) + 3600 * 1000)
    answer = node.https(SYSTEM).fhir(observation("P-1", "29463-7", 70, "kg", later))
    base.equal((answer.status, outcome_of(answer)["severity"]), (201, "warning"), answer)
    node.wait_drained("postgres")
    rows = site().cluster.query("SELECT count(*) FROM vigie.quarantine", database="vigie")
    base.equal(rows, [(3,)], "rows of quarantine")
    base.equal(node.metrics()["vigie_quarantine_rows"], 3, "vigie_quarantine_rows")


def test_everything_acknowledged_is_stored_once():
    site().node.wait_drained("postgres")
    check.stored_once(check.stored_readings(site().cluster))
