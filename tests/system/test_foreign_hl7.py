"""A client that knows nothing of Vigie, as it is, over MLLP: python3-hl7 with its own parser of the answers; openssl
s_client over TLS. What each acknowledgement says (INTEROP.md section 3.3, H8), and that what is acknowledged is stored
once."""
import functools
import os
import subprocess

from tests.harness import authority, base, check, hl7v2, site as sites

moment = check.Moments().ms


def foreign():
    try:
        import hl7
        import hl7.client
    except ImportError:
        raise base.Unavailable("python3-hl7 is not installed")
    return hl7


@functools.lru_cache(None)
def site():
    place = base.fresh_directory(os.path.join(base.BUILD, "test", "foreign-hl7-ca"))
    issuer = authority.Authority(place)
    made = sites.Site("foreign-hl7", settings={
        "tls": {"client_ca": issuer.certificate},
        "listen": {"mllps": "127.0.0.1:0", "mllp": "127.0.0.1:0", "mllp_source": "monitor"}})
    made.pair = issuer.issue("gw-1.example")
    rows = sites.organization_rows() + [sites.rule_row(sites.SILENCE)]
    for ref in ("P-1", "P-2"):
        rows += sites.patient_rows(ref)
        rows += [{"type": "identifier", "patient": ref, "system": "urn:oid:2.999.1", "value": ref}]
    rows += sites.organization_rows("ORG-B") + sites.patient_rows("P-B", "ORG-B")
    rows += [{"type": "identifier", "patient": "P-B", "system": "urn:oid:2.999.1", "value": "P-B"}]
    rows += [sites.system_row("monitor", "unused-1"), dict(sites.system_row("hospital", "unused-2"),
                                                           certificate_cn="gw-1.example")]
    made.node.import_rows(rows)
    return made


def tear_down():
    if site.cache_info().currsize:
        site().close()


def stored(value, name="body-weight", patient="P-1"):
    site().node.wait_drained("postgres")
    return site().cluster.query("""SELECT count(*)::int FROM vigie.reading r JOIN vigie.patient p USING (patient_id)
        JOIN vigie.parameter m USING (parameter_id) WHERE p.ref = %s AND m.name = %s AND r.value = %s""",
                                (patient, name, round(value * 1000000)), database="vigie")[0][0]


def ask(message):
    """python3-hl7 sends the message and parses the answer: (code, control id, error of 0357, type of message)."""
    hl7 = foreign()
    with hl7.client.MLLPClient("127.0.0.1", site().node.ports["mllp"]) as client:
        answer = client.send_message(message)
    base.check(answer.startswith(b"\x0b") and answer.endswith(b"\x1c\r"), "a frame:", answer)
    parsed = hl7.parse(answer[1:-2].decode())
    errors = [str(segment[3]).split("^")[0] for segment in parsed if str(segment[0]) == "ERR"]
    return (str(parsed["MSA"][0][1]), str(parsed["MSA"][0][2]), errors[0] if errors else None, str(parsed["MSH"][0][9]))


def test_python_hl7_is_acknowledged():
    for number, (modes, code) in enumerate([("AL|NE", "CA"), ("|", "AA"), ("NE|AL", "AA")]):
        value = 70 + number
        found = ask(hl7v2.weight("M-%d" % number, moment(), value, modes=modes))
        base.equal(found[:3], (code, "M-%d" % number, None), modes)
        base.check(found[3].startswith("ACK"), "type of message", found)
        base.equal(stored(value), 1, modes)
    at = moment()
    message = foreign().parse(hl7v2.weight("PARSED", at, 73))  # its own object, rendered by itself
    for _ in range(2):
        base.equal(ask(message)[:3], ("CA", "PARSED", None))
    base.equal(stored(73), 1, "sent twice, stored once")


def test_python_hl7_is_told_what_is_wrong():
    weight, kg = hl7v2.WEIGHT
    cases = [  # what, letter, error of table 0357
        ("nobody", "E", "204", hl7v2.weight("E-1", moment(), 60, who="NOBODY")),
        ("another organisation's", "E", "204", hl7v2.weight("E-2", moment(), 60, who="P-B")),
        ("no unit", "E", None, hl7v2.observation("E-3", moment(), hl7v2.numeric(1, weight, "60", ""))),
        ("foreign unit", "E", None, hl7v2.observation("E-4", moment(), hl7v2.numeric(1, weight, "60", hl7v2.PULSE[1]))),
        ("no number", "E", None, hl7v2.observation("E-5", moment(), hl7v2.numeric(1, weight, "sixty", kg))),
        ("ADT", "R", "200", hl7v2.header("R-1", kind="ADT^A01^ADT_A01") + "\r" + hl7v2.patient("P-1") + "\r"),
        ("event", "R", "201", hl7v2.weight("R-2", moment(), 60, kind="ORU^R99^ORU_R99")),
        ("version", "R", "203", hl7v2.weight("R-3", moment(), 60, version="3.0")),
        ("processing id", "R", "202", hl7v2.weight("R-4", moment(), 60, processing="X"))]
    for modes, first in (("AL|NE", "C"), ("|", "A"), ("NE|AL", "A")):
        for what, letter, error, message in cases:
            found = ask(message.replace("|AL|NE|", "|%s|" % modes))
            base.equal(found[0], first + letter, what, modes, found)
            base.check(found[2] is not None and error in (None, found[2]), what, "ERR-3", found)
    base.equal(stored(60), 0)


def test_nothing_is_answered_to_who_wants_nothing():
    with hl7v2.Wire(site().node.ports["mllp"]) as wire:
        wire.send(hl7v2.weight("N-1", moment(), 74, modes="NE|NE"),
                  hl7v2.weight("N-2", moment(), 75, who="NOBODY", modes="NE|NE"))
        answer = wire.ask(hl7v2.weight("N-3", moment(), 76))
        base.equal((answer.code, answer.control), ("CA", "N-3"), "the first answer of all")
    base.equal((stored(74), stored(75), stored(76)), (1, 0, 1))


def test_separators_endings_and_charsets():
    def with_separators(text):
        return text.translate(str.maketrans("|^~\\&", "#!@?%"))

    at = moment()
    cases = [("CRLF", hl7v2.weight("S-1", at, 77).replace("\r", "\r\n")),
             ("LF", hl7v2.weight("S-2", moment(), 78).replace("\r", "\n")),
             ("other separators", with_separators(hl7v2.weight("S-3", moment(), 79))),
             ("two components of MSH-9", hl7v2.weight("S-4", moment(), 80, kind="ORU^R01")),
             ("version 2.3", hl7v2.weight("S-5", moment(), 81, version="2.3")),
             ("no profile", hl7v2.weight("S-6", moment(), 82, profile=""))]
    with hl7v2.Wire(site().node.ports["mllp"]) as wire:
        for number, (what, message) in enumerate(cases):
            wire.send(message)
            answer = wire.next()
            base.check("CA" in answer.text and "S-%d" % (number + 1) in answer.text, what, answer)
            base.equal(stored(77 + number), 1, what)
        latin = hl7v2.weight("S-7", moment(), 83, charset="8859/1").replace("Person", "Hélène")
        answer = wire.ask(latin.encode("latin-1"))
        base.equal((answer.code, stored(83)), ("CA", 1), "8859/1", answer)


def test_the_time_is_of_the_metric_then_of_its_ancestors():
    weight, kg = hl7v2.WEIGHT
    own, order = moment(), moment()
    with hl7v2.Wire(site().node.ports["mllp"]) as wire:
        answer = wire.ask(hl7v2.observation("T-1", order, hl7v2.numeric(1, weight, "84", kg, own),
                                            hl7v2.numeric(2, hl7v2.PULSE[0], "61", hl7v2.PULSE[1], path="1.2.1.1")))
        base.equal(answer.code, "CA", answer)
    site().node.wait_drained("postgres")
    found = site().cluster.query("""SELECT m.name, r.measured_at FROM vigie.reading r JOIN vigie.parameter m USING (parameter_id)
        WHERE r.value IN (84000000, 61000000)""", database="vigie")
    base.equal({name: check.to_ms(at) for name, at in found}, {"body-weight": own, "pulse-rate": order})


def test_one_message_of_two_patients():
    """Each reading belongs to the PID above it, and to nobody when that is nobody's."""
    def two(control, first, second, who):
        one = hl7v2.weight(control, moment(), first)
        return one + hl7v2.weight(control, moment(), second, who=who).split("\r", 1)[1]

    with hl7v2.Wire(site().node.ports["mllp"]) as wire:
        answer = wire.ask(two("2P-1", 63, 64, "P-2"))
        base.equal((answer.code, stored(63), stored(64), stored(64, patient="P-2")), ("CA", 1, 0, 1), answer)
        answer = wire.ask(two("2P-2", 65, 66, "NOBODY"))
        base.equal((answer.code, answer.error, answer.severity), ("CA", "204", "W"), answer)
        base.equal((stored(65), stored(66), stored(66, patient="P-2")), (1, 0, 0))


def test_statuses_of_results():
    weight, kg = hl7v2.WEIGHT
    with hl7v2.Wire(site().node.ports["mllp"]) as wire:
        answer = wire.ask(hl7v2.observation("X-1", moment(), hl7v2.numeric(1, weight, "85", kg, status="X"),
                                            hl7v2.numeric(2, hl7v2.PULSE[0], "62", hl7v2.PULSE[1], path="1.2.1.1")))
        base.equal((answer.code, stored(85), stored(62, "pulse-rate")), ("CA", 0, 1), "X is no result", answer)
        answer = wire.ask(hl7v2.observation("X-2", moment(), hl7v2.numeric(1, weight, "86", kg),
                                            hl7v2.numeric(2, hl7v2.PULSE[0], "much", hl7v2.PULSE[1], path="1.2.1.1")))
        base.equal((answer.code, answer.severity, stored(86)), ("CA", "W", 1), "good and bad in one", answer)
        kept = site().cluster.query("SELECT count(*)::int FROM vigie.rejected", database="vigie")[0][0]
        base.check(kept >= 1, "the bad one is kept in vigie.rejected")


def test_several_messages_on_one_connection_are_answered_in_order():
    with hl7v2.Wire(site().node.ports["mllp"]) as wire:
        messages = [hl7v2.weight("O-%d" % number, moment(), 90 + number / 100, who="P-2" if number % 3 else "NOBODY")
                    for number in range(40)]
        wire.send(*messages)
        answers = [wire.next() for _ in messages]
    base.equal([answer.control for answer in answers], ["O-%d" % number for number in range(40)])
    base.equal([answer.code for answer in answers], ["CA" if number % 3 else "CE" for number in range(40)])
    base.equal(stored(90.01, patient="P-2"), 1)


def test_mllps_knows_its_peer_by_its_certificate():
    node = site().node
    with hl7v2.Wire(node.ports["mllps"], node.certificate, site().pair) as wire:
        answer = wire.ask(hl7v2.weight("TLS-1", moment(), 87))
        base.equal((answer.code, stored(87)), ("CA", 1), answer)
    with hl7v2.Wire(node.ports["mllps"], node.certificate) as wire:
        answer = wire.ask(hl7v2.weight("TLS-2", moment(), 88))
        base.check(answer is None or answer.code in ("CR", "CE"), "nobody:", answer)
    base.equal(stored(88), 0)


def test_openssl_speaks_mllp_by_hand():
    node = site().node
    for number, version in enumerate(("-tls1_2", "-tls1_3")):
        child = subprocess.Popen(
            ["openssl", "s_client", "-quiet", "-connect", "127.0.0.1:%d" % node.ports["mllps"], "-CAfile", node.certificate,
             "-verify_return_error", version, "-cert", site().pair[0], "-key", site().pair[1]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            child.stdin.write(hl7v2.framed(hl7v2.weight("SC-%d" % number, moment(), 100 + number)))
            child.stdin.flush()
            heard = b""
            while hl7v2.END not in heard:
                part = os.read(child.stdout.fileno(), 4096)
                base.check(part, "ended after", heard)
                heard += part
        finally:
            child.kill()
            child.communicate()
        base.check(b"MSA|CA|SC-%d" % number in heard, version, heard)
        base.equal(stored(100 + number), 1)
