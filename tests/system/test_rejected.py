"""vigie.rejected: what is kept of a payload that nobody could be told of, or that PostgreSQL would not store: sealed, to be
read with the journal's key alone, gone after thirty days."""
import base64
import functools
import glob
import json
import os
import subprocess

from tests.harness import base, check, site as sites

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
                                             "journal": {"key": os.path.join(directory, "first")}})
    place.keys = directory
    place.node.import_rows(sites.organization_rows() + [sites.rule_row(sites.SILENCE), sites.system_row("sys-a", TOKEN)]
                           + sites.patient_rows("P-1", device=False))
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


def test_kept_sealed_and_shown():
    send_two()
    rows = listed()
    base.equal([[row[key] for key in ("source", "code", "text", "received_at")] for row in rows],
               [["sys-a", "not-storable", "23514", check.to_text(START)]], "listed")
    base.equal((listed("--source", "sys-b"), len(listed("--source", "sys-a"))), ([], 1), "of a source")
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
    row = str(listed()[0]["rejected_id"])
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
    base.equal(len(listed()), 1, "before")
    site().node.clock({"advance": "720h"})
    base.equal(len(listed()), 1, "30 days")
    site().node.clock({"advance": "2h"})
    base.wait_for("it is deleted", lambda: listed() == [], 20)
