"""vigie.rejected: what is kept of a payload that nobody could be told of, or that PostgreSQL would not store: sealed, to be
read with the journal's key alone, gone after thirty days."""
import base64
import functools
import glob
import json
import os
import socket
import subprocess

from tests.harness import base, check, mqtt, site as sites

TOKEN = "token-of-sys-a"
START = check.to_ms("2026-12-01T00:00:00Z")
MARK = "kanarie"
KEYS = {"first": "11" * 32, "second": "22" * 32}


@functools.lru_cache(None)
def site():
    directory = base.fresh_directory(os.path.join(base.BUILD, "test", "rejected-keys"))
    for name, key in KEYS.items():
        with open(os.open(os.path.join(directory, name), os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(key + "\n")
    place = sites.Site("rejected", settings={"node": {"test_clock": check.to_text(START)},
                                             "listen": {"mllp": "127.0.0.1:0", "mllp_source": "sys-a", "mqtt": "127.0.0.1:0"},
                                             "journal": {"key": os.path.join(directory, "first")}})
    place.keys = directory
    place.node.import_rows(sites.organization_rows() + [sites.rule_row(sites.SILENCE), sites.system_row("sys-a", TOKEN)]
                           + sites.patient_rows("P-1")
                           + [{"type": "identifier", "patient": "P-1", "system": "urn:oid:2.999.1", "value": "P-1"}])
    # no schema of ours refuses such a reading: what an operator's own constraint would do
    place.cluster.query("ALTER TABLE vigie.reading ADD CHECK (sensor NOT LIKE '%%%s%%')" % MARK, database="vigie")
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def listed(*more):
    site().node.wait_drained("postgres")
    return json.loads(site().node.ctl("rejected", "list", "--json", *more))


def set_key(name, old=None):
    node, journal = site().node, site().node.settings["journal"]
    node.stop()
    journal["key"] = os.path.join(site().keys, name)
    journal.pop("old_keys", None)
    if old:
        journal["old_keys"] = os.path.join(site().keys, old)
    node.write_config()
    node.start()


def dump():
    """All that the database holds, as text; bytea is hexadecimal in it."""
    program = sorted(glob.glob("/usr/lib/postgresql/*/bin/pg_dump"))[-1]
    return subprocess.check_output([program, site().cluster.conninfo("vigie")], env=site().cluster.environment())


def send_two():
    for sensor in ("left", MARK):
        reading = {"code": "body-weight", "value": 71.5, "unit": "kg", "sensor": sensor}
        answer = site().node.https(TOKEN).readings(sites.message("P-1", check.to_text(START - 60000), reading))
        base.equal(answer.json()["accepted"], 1, answer)


def send_hl7():
    """A good row, and one whose refusal goes to nobody but the table: the sender hears AE for the message, or AA."""
    at = "20261130235900+0000"
    rows = ["MSH|^~\\&|MON|WARD|VIGIE|H|%s||ORU^R01^ORU_R01|m-1|P|2.6" % at, "PID|1||P-1^^^A&2.999.1&ISO", "OBR|1|||X|||" + at,
            "OBX|1|NM|29463-7^Body weight^LN|1|72.5|kg^kg^UCUM|||||F|||" + at,
            "OBX|2|NM|8867-4^%s^LN|2|72|kg^%s^UCUM|||||F|||%s" % (MARK, MARK, at)]
    with socket.create_connection(("127.0.0.1", site().node.ports["mllp"]), 10) as wire:
        wire.sendall(b"\x0b" + "\r".join(rows).encode() + b"\r\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            answer += wire.recv(4096) or base.check(False, "closed after", answer)
    return rows[4].encode()


def send_mqtt():
    """MQTT 3.1.1: an unknown unit, no JSON, and FHIR of another kind; each is acknowledged and told to no one."""
    reading = json.dumps(sites.message("P-1", check.to_text(START), {"code": "8867-4", "value": 72, "unit": MARK})).encode()
    payloads = [("readings", reading), ("readings", b'{"' + MARK.encode()), ("fhir", b'{"resourceType":"Of-%s"}' % MARK.encode())]
    with mqtt.Wire(site().node.ports["mqtt"]) as wire:
        wire.open("device", TOKEN)
        for number, (kind, payload) in enumerate(payloads, 1):
            wire.send(mqtt.publish("vigie/v1/D-P-1/" + kind, payload, number=number))
            base.equal(wire.next(mqtt.PUBACK).number, number, "acknowledged")
    return [payload for _, payload in payloads]


def test_kept_sealed_and_shown():
    send_two()
    refused, published = send_hl7(), send_mqtt()
    site().node.kill()  # what was acknowledged is durable, the rejected row of it too
    site().node.start()
    rows = listed()
    base.equal(sorted([row[key] for key in ("source", "code", "received_at")] for row in rows),
               [["sys-a", code, check.to_text(START)]
                for code in ("bad-request", "bad-request", "not-storable", "unit-mismatch", "unit-unknown")], "listed")
    shown = [json.loads(site().node.ctl("rejected", "show", str(row["rejected_id"]), "--json")).get("original") for row in rows]
    base.equal([payload.decode() in shown for payload in published], [True] * 3, "what was published", shown)
    hl7 = [row for row in rows if row["code"] == "unit-mismatch"][0]
    told = json.loads(site().node.ctl("rejected", "show", str(hl7["rejected_id"]), "--json"))
    base.equal(told["original"].rstrip("\r").encode(), refused, "the row of the message, to the byte")
    rows = [row for row in rows if row["code"] == "not-storable"]
    base.equal(rows[0]["text"], "23514", "why")
    base.equal((listed("--source", "sys-b"), len(listed("--source", "sys-a"))), ([], 5), "of a source")
    content = dump()
    base.check(b"\tleft\t" in content, "the search sees readings that were stored")
    for what, needle in (("text", MARK.encode()), ("hexadecimal", MARK.encode().hex().encode())):
        base.equal(content.replace(b"%" + MARK.encode() + b"%", b"").count(needle), 0, what, "of the payload in PostgreSQL")
    for folder, _, names in os.walk(site().node.state_dir):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    base.check(MARK.encode() not in file.read(), "the payload in", path)
    shown = subprocess.check_output([os.path.join(base.BUILD, "vigiectl"), "--config", site().node.config, "rejected", "show",
                                     str(rows[0]["rejected_id"])])
    base.equal((len(shown), MARK.encode() in shown), (rows[0]["bytes"], True), "opened")
    told = json.loads(site().node.ctl("rejected", "show", str(rows[0]["rejected_id"]), "--json"))
    base.equal((told["code"], told["source"], base64.b64decode(told["original_base64"])),
               ("not-storable", "sys-a", shown), "as JSON")


def test_an_old_key_opens_it_and_another_does_not():
    row = str([row for row in listed() if row["code"] == "not-storable"][0]["rejected_id"])
    set_key("second", old="first")
    site().node.ctl("rejected", "show", row, "--json")
    journal = site().node.settings["journal"]
    journal.pop("old_keys")
    site().node.write_config()
    status, output, errors = site().node.ctl("rejected", "show", row, expect=None)
    base.check(status not in (0, 70) and output == "" and "old_keys" in errors, status, errors)
    journal["old_keys"] = os.path.join(site().keys, "first")
    site().node.write_config()
    site().cluster.query("UPDATE vigie.rejected SET received_at = received_at + interval '1 ms'", database="vigie")
    status, output, errors = site().node.ctl("rejected", "show", row, expect=None)
    base.equal((status, output), (65, ""), "moved to another place", errors)
    site().cluster.query("UPDATE vigie.rejected SET received_at = received_at - interval '1 ms'", database="vigie")
    base.equal(site().node.ctl("rejected", "show", "999999", expect=None)[0], 66, "no such row")
    site().node.ctl("rejected", "show", "x", expect=64)


def test_gone_after_thirty_days():
    base.equal(len(listed()), 5, "before")
    site().node.clock({"advance": "720h"})
    base.equal(len(listed()), 5, "30 days")
    site().node.clock({"advance": "2h"})
    base.wait_for("it is deleted", lambda: listed() == [], 20)
