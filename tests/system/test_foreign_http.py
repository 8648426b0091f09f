"""Clients that know nothing of Vigie, as they are, over HTTPS: curl with FHIR, JSON and CBOR, by token and by
certificate; openssl s_client with requests written by hand, and what TLS it is served and refused."""
import functools
import json
import os
import subprocess

from tests.harness import authority, base, check, site as sites

TOKEN, MACHINE = "token-of-the-system", "token-of-the-gateway"
moment = check.Moments().text


@functools.lru_cache(None)
def site():
    place = os.path.join(base.BUILD, "test", "foreign-http-ca")
    base.fresh_directory(place)
    issuer = authority.Authority(place)
    made = sites.Site("foreign-http", settings={"tls": {"client_ca": issuer.certificate}})
    made.issuer, made.pair = issuer, issuer.issue("gw-1.example")
    made.node.import_rows(
        sites.organization_rows() + [sites.rule_row(sites.SILENCE)] + sites.patient_rows("P-1") + sites.patient_rows("P-2")
        + [sites.system_row("sys", TOKEN), dict(sites.gateway_row("gw", MACHINE, ["D-P-1"]), certificate_cn="gw-1.example")])
    return made


def tear_down():
    if site.cache_info().currsize:
        site().close()


def path_of(name, content):
    path = os.path.join(site().directory, name)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def curl(*arguments, token=TOKEN, stdin=None):
    """(status, body, head) of the last answer."""
    node = site().node
    command = ["curl", "-sS", "-i", "--max-time", "20", "--cacert", node.certificate]
    command += ["-H", "Authorization: Bearer " + token] if token else []
    done = subprocess.run(command + list(arguments), input=stdin or b"", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=30)
    base.equal(done.returncode, 0, "curl", arguments, done.stderr.decode())
    head, _, body = done.stdout.rpartition(b"\r\n\r\n")
    head = head.decode()
    return int(head[head.rindex("HTTP/1.1 "):].split()[1]), body, head


def url(path):
    return "https://127.0.0.1:%d%s" % (site().node.ports["https"], path)


def post(path, kind, content, *more, **options):
    return curl("-H", "Content-Type: " + kind, "--data-binary", "@" + path_of("body", content), *more, url(path), **options)


def stored(patient):
    site().node.wait_drained("postgres")
    rows = site().cluster.query("""SELECT m.name, r.value, r.measured_at FROM vigie.reading r
        JOIN vigie.patient p USING (patient_id) JOIN vigie.parameter m USING (parameter_id) WHERE p.ref = %s""",
                                (patient,), database="vigie")
    return [(name, int(value), check.to_ms(at)) for name, value, at in rows]


def is_stored(patient, name, value, at):
    base.check((name, value, check.to_ms(at)) in stored(patient), "stored:", patient, name, value, at, stored(patient))


def test_curl_sends_fhir():
    at = moment()
    status, body, head = post("/fhir/Observation", "application/fhir+json",
                              sites.observation("P-2", "29463-7", 71.4, "kg", at))
    base.equal(status, 201, body)
    base.check("location:" in head.lower(), "Location in", head)
    is_stored("P-2", "body-weight", 71400000, at)
    status, body, _ = post("/fhir/Observation", "application/fhir+json",
                           sites.observation("P-2", "29463-7", 71.4, "kg", at))
    base.equal(status, 200, "the same again", body)
    first, second = moment(), moment()
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": sites.observation("P-2", "8867-4", 70 + number, "/min", when),
         "request": {"method": "POST", "url": "Observation"}} for number, when in enumerate((first, second))]}
    status, body, _ = post("/fhir", "application/fhir+json; charset=utf-8", bundle)
    answer = json.loads(body)
    base.equal((status, answer["type"], [entry["response"]["status"][:3] for entry in answer["entry"]]),
               (200, "transaction-response", ["201", "201"]))
    is_stored("P-2", "heart-rate", 71000000, second)
    status, body, _ = curl(url("/fhir/metadata"), token=None)
    base.equal((status, json.loads(body)["resourceType"]), (200, "CapabilityStatement"))


def test_curl_sends_json_in_every_way_it_has():
    ways = [(), ("--http1.0",), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect: 100-continue"), ("--tlsv1.3",),
            ("--tls-max", "1.2"), ("--tcp-nodelay", "--limit-rate", "2k")]
    for way in ways:
        at = moment()
        status, body, _ = post("/v1/readings", "application/json", sites.message("P-2", at, ("29463-7", 70.5, "kg")), *way)
        base.equal((status, json.loads(body)["accepted"]), (200, 1), "curl", way)
        is_stored("P-2", "body-weight", 70500000, at)


def test_curl_shows_a_certificate():
    at = moment()
    certificate, key = site().pair
    body = {"device": "D-P-1", "time": at, "readings": [{"code": "8867-4", "value": 61, "unit": "/min"}]}
    status, answer, _ = post("/v1/readings", "application/json", body, "--cert", certificate, "--key", key, token=None)
    base.equal((status, json.loads(answer)["accepted"]), (200, 1))
    is_stored("P-1", "heart-rate", 61000000, at)
    status, answer, head = post("/v1/readings", "application/json", body, token=None)
    base.equal(status, 401, answer)
    base.check("www-authenticate: bearer" in head.lower(), head)


def test_curl_sends_cbor():
    try:
        import cbor2
    except ImportError:
        raise base.Unavailable("python3-cbor2 is not installed")
    import datetime
    import decimal
    at = moment()
    whole = sites.message("P-2", at, ("29463-7", decimal.Decimal("71.45"), "kg"), ("8867-4", 72, "/min"),
                          ("8310-5", 36.5, "Cel"))
    status, body, _ = post("/v1/readings", "application/cbor", cbor2.dumps(whole))
    base.equal((status, json.loads(body)["accepted"]), (200, 3), body)
    is_stored("P-2", "body-weight", 71450000, at)
    is_stored("P-2", "body-temperature", 36500000, at)
    # keys by number, the time as tag 1 and as epoch milliseconds, lists of unknown length
    first, second = moment(), moment()
    short = [{1: "D-P-1", 3: datetime.datetime.fromtimestamp(check.to_ms(first) / 1000, datetime.timezone.utc),
              4: [{5: "mdc:147842", 6: decimal.Decimal("62"), 7: "/min"}]},
             {1: "D-P-1", 3: check.to_ms(second), 4: [{5: "heart-rate", 6: 63, 7: "/min"}]}]
    status, body, _ = post("/v1/readings", "application/cbor",
                           cbor2.dumps(short, datetime_as_timestamp=True), token=MACHINE)
    base.equal((status, json.loads(body)["accepted"]), (200, 2), body)
    is_stored("P-1", "heart-rate", 62000000, first)
    is_stored("P-1", "heart-rate", 63000000, second)
    status, body, _ = post("/v1/readings", "application/cbor", cbor2.dumps(whole)[:-1])
    base.equal((status, json.loads(body)["code"]), (400, "bad-request"), body)
    status, body, _ = post("/v1/readings", "application/cbor", cbor2.dumps({"patient": "P-2", "time": at, "readings": [
        {"code": "29463-7", "value": "71.4", "unit": "kg"}]}))
    base.equal(status, 422, body)
    base.equal(json.loads(body)["rejected"][0]["code"], "value-invalid", body)


def test_curl_is_told_what_is_wrong():
    good = sites.message("P-2", moment(), ("29463-7", 70, "kg"))
    json_type = "application/json"
    for status, code, arguments in [
            (401, "unauthenticated", dict(token="nobody")), (404, "not-found", dict(path="/v1/nothing")),
            (415, "media-type", dict(kind="text/csv")), (415, "media-type", dict(more=("-H", "Content-Encoding: gzip"))),
            (405, "method", dict(more=("-X", "PUT"))), (413, "too-large", dict(content=b" " * (2 << 20))),
            (400, "bad-request", dict(content=b'{"patient":NaN}'))]:
        found, body, head = post(arguments.get("path", "/v1/readings"), arguments.get("kind", json_type),
                                 arguments.get("content", good), *arguments.get("more", ()),
                                 token=arguments.get("token", TOKEN))
        base.equal((found, json.loads(body)["code"]), (status, code), arguments)
        base.check(status != 405 or "allow: post" in head.lower(), head)
        base.check(json.loads(body)["text"], "a text")


def s_client(port, said, *arguments, certificate=True):
    """What openssl s_client hears after it has said something: (exit status, output)."""
    node = site().node
    command = ["openssl", "s_client", "-connect", "127.0.0.1:%d" % port, "-CAfile", node.certificate, "-quiet",
               "-verify_return_error"]
    child = subprocess.Popen(command + list(arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
    try:
        output = child.communicate(said, timeout=10)[0]
    except subprocess.TimeoutExpired:
        child.kill()
        output = child.communicate()[0]
    return child.returncode, output.decode(errors="replace")


def by_hand(at, *head):
    body = json.dumps({"device": "D-P-1", "time": at, "readings": [{"code": "8867-4", "value": 64, "unit": "/min"}]})
    lines = ["POST /v1/readings HTTP/1.1", "Host: vigie", "Content-Type: application/json", "Connection: close",
             "Content-Length: %d" % len(body)] + list(head)
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def test_openssl_speaks_by_hand():
    port = site().node.ports["https"]
    bearer = "Authorization: Bearer " + MACHINE
    for version in ("-tls1_2", "-tls1_3"):
        at = moment()
        _, output = s_client(port, by_hand(at, bearer), version)
        base.check("HTTP/1.1 200 OK" in output and '"accepted":1' in output, version, output)
        is_stored("P-1", "heart-rate", 64000000, at)
    at = moment()
    _, output = s_client(port, by_hand(at), "-cert", site().pair[0], "-key", site().pair[1])
    base.check('"accepted":1' in output, "by certificate:", output)
    for refused in (("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"), ("-tls1", "-cipher", "DEFAULT@SECLEVEL=0"),
                    ("-tls1_2", "-cipher", "NULL-SHA256:@SECLEVEL=0")):
        status, output = s_client(port, by_hand(moment(), bearer), *refused)
        base.check(status != 0 and "HTTP/1.1" not in output, "refused:", refused, output)
    stranger = authority.Authority(os.path.join(site().directory, "stranger"), "Somebody").issue("gw-1.example")
    status, output = s_client(port, by_hand(moment()), "-cert", stranger[0], "-key", stranger[1])
    base.check("HTTP/1.1 200" not in output, "another authority's certificate is refused:", output)
