"""No plaintext of a reading, a rule or an identifier below state_dir, in mode=production; a new master key at a restart."""
import functools
import json
import os
import struct
import subprocess
import time

from tests.harness import base, check, site as sites
from tests.harness.site import message, observation

MARK = "kanarie"  # stands in every text that a sender or an operator may choose
TOKEN = "token-%s-system" % MARK
PATIENT, OTHER = "P-%s-1" % MARK, "P-%s-2" % MARK
WEIGHTS = [71.234567 + 0.010101 * step for step in range(24)]
TIME = int(time.time() * 1000) - 48 * 3600 * 1000
KEYS = {"first": "11" * 32, "second": "22" * 32, "identifier": "33" * 32}


def glucose():
    text = {"fr": "Glycémie %s" % MARK, "en": "Glucose %s" % MARK}
    return dict(sites.GLUCOSE, id="%s.glucose" % MARK, text=text, source="guideline %s" % MARK, tag=MARK.upper())


def rows_of(patient):
    rows = sites.patient_rows(patient, organization="ORG-" + MARK)
    for row in rows:
        if row["type"] == "device":
            row.update(manufacturer="Maker " + MARK, model="Model " + MARK, serial="Serial-" + MARK + patient)
    return rows + [{"type": "identifier", "patient": patient, "system": "urn:" + MARK, "value": "id-%s-%s" % (MARK, patient)}]


@functools.lru_cache(None)
def site():
    directory = base.fresh_directory(os.path.join(base.BUILD, "test", "at-rest-keys"))
    for name, key in KEYS.items():
        with open(os.open(os.path.join(directory, name), os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(key + "\n")
    place = sites.Site("at-rest", start=False, settings={
        "node": {"mode": "production", "name": "node-of-test"},
        "journal": {"key": os.path.join(directory, "first"), "segment_size": "1M"},
        "auth": {"identifier_key": os.path.join(directory, "identifier")}})
    place.keys = directory
    place.node.start()
    place.node.import_rows(
        sites.organization_rows("ORG-" + MARK) + [sites.rule_row(sites.SILENCE), sites.rule_row(glucose())]
        + rows_of(PATIENT) + rows_of(OTHER)
        + [sites.system_row("source-" + MARK, TOKEN, organization="ORG-" + MARK)])
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def send_everything():
    """Every text field that a reading may have, in JSON and in FHIR, odd values, two breaches and their ends."""
    client = site().node.https(TOKEN)
    for step, weight in enumerate(WEIGHTS):
        at = check.to_text(TIME + step * 3600 * 1000)
        body = message(PATIENT, at, {"code": "29463-7", "value": round(weight, 6), "unit": "kg", "id": "alias-%s-%d" % (MARK, step),
                                     "sensor": "sensor-" + MARK},
                       device="D-" + PATIENT)
        base.equal(client.readings(body).status, 200, body)
    for step, value in enumerate((48, 120, 290, 110)):  # now: the line's rule is in force since its import
        at = check.to_text(int(time.time() * 1000) + step * 1000)
        resource = observation(OTHER, "2339-0", value, "mg/dL", at,
                               identifier=[{"system": "urn:" + MARK, "value": "obs-%d" % step}],
                               method={"text": "method " + MARK}, note=[{"text": "note " + MARK}])
        answer = client.post("/fhir/Observation", resource, "application/fhir+json")
        base.check(answer.status in (200, 201), answer)
    refused = message(PATIENT, check.to_text(TIME), {"code": "code-" + MARK, "value": 1, "unit": "unit-" + MARK})
    base.check(client.readings(refused).status >= 400, "an unknown code is refused")
    base.check(client.readings(message("nobody-" + MARK, check.to_text(TIME), ("8867-4", 70, "/min"))).status >= 400)
    client.close()
    site().node.ctl("token", "issue", "--admin", "nurse")


def needles():
    """Bytes that must not be there: the mark as text, values as the journal holds them, texts of the rules."""
    found = {"text " + MARK: MARK.encode(), "text in capitals": MARK.upper().encode(),
             "rule text": "Glycémie".encode(), "token": TOKEN.encode()}
    for weight in WEIGHTS:
        found["value %.6f" % weight] = struct.pack("<q", round(round(weight, 6) * 1000000))
        found["digits %.6f" % weight] = b"%.6f" % weight
    return found


def files_below(directory):
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                yield path


def search(directory):
    """["file: what"] for every needle in every file."""
    faults, looked, size = [], 0, 0
    for path in files_below(directory):
        with open(path, "rb") as file:
            content = file.read()
        looked, size = looked + 1, size + len(content)
        faults += ["%s: %s" % (os.path.relpath(path, directory), what)
                   for what, needle in needles().items() if needle in content]
    return faults, looked, size


def drained():
    base.wait_for("PostgreSQL has all", lambda: site().node.lag("postgres") == 0, 60, 0.1)


def test_no_plaintext_below_state_dir():
    send_everything()
    state_dir = site().node.state_dir
    for restart in (None, site().node.restart, lambda: (site().node.kill(), site().node.start())):
        if restart:
            restart()
        drained()
        faults, looked, size = search(state_dir)
        base.equal(faults, [], "plaintext below state_dir")
        base.check(looked >= 5 and size > 100000, "files looked at", looked, size)
    stored = site().cluster.query("SELECT count(*) FROM vigie.reading WHERE value = ANY(%s)",
                                  ([round(round(weight, 6) * 1000000) for weight in WEIGHTS],), "vigie")
    base.equal(stored, [(len(WEIGHTS),)], "the values that were looked for are those that were kept")
    events = site().cluster.query("SELECT count(*) FROM vigie.alert_event WHERE payload::text LIKE %s",
                                  ("%" + MARK + "%",), "vigie")
    base.check(events[0][0] > 0, "alerts were raised and carry the mark", events)


def test_the_search_finds_what_is_planted():
    path = os.path.join(site().node.state_dir, "journal", "planted")
    with open(path, "wb") as file:
        for needle in needles().values():
            file.write(b"\0" * 777 + needle + b"\xff" * 100)
    faults, _, _ = search(site().node.state_dir)
    os.remove(path)
    base.equal(sorted(faults), sorted("journal/planted: " + what for what in needles()), "all of it, and nothing else")


def test_a_new_master_key_at_a_restart():
    node = site().node
    journal = node.settings["journal"]
    first, second = (os.path.join(site().keys, name) for name in ("first", "second"))
    node.stop()
    journal["key"] = second
    node.write_config()
    checked = subprocess.run([os.path.join(base.BUILD, "vigied"), "--config", node.config, "--check"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    base.check(checked.returncode == 1 and b"another master key" in checked.stderr, "--check", checked)
    node.spawn()  # without the old key nothing is guessed
    base.equal(node.child.wait(20), 78, "exit status without the old key")
    node.child = None
    base.check("put the old key into [journal] old_keys" in base.tail(node.log), base.tail(node.log))
    journal["old_keys"] = first
    node.write_config()
    node.start()
    client = node.https(TOKEN)
    at = check.to_text(TIME + 40 * 3600 * 1000)
    base.equal(client.readings(message(PATIENT, at, ("29463-7", 70.5, "kg"))).status, 200)
    again = client.readings(message(PATIENT, check.to_text(TIME), {"code": "29463-7", "value": round(WEIGHTS[0], 6),
                                                                   "unit": "kg", "id": "alias-%s-0" % MARK,
                                                                   "sensor": "sensor-" + MARK}, device="D-" + PATIENT))
    client.close()
    base.equal(again.status, 200, "known from the old segments", again)
    drained()
    node.ctl("journal", "verify")

    def disk():
        return json.loads(node.ctl("journal", "status", "--json"))["disk"]

    base.check(0 < disk()["free_bytes"] < disk()["total_bytes"], "disk", disk())
    base.wait_for("a rate, so hours left", lambda: (disk()["hours_left"] or 0) > 0, 10, 0.2)
    base.equal(search(node.state_dir)[0], [], "plaintext below state_dir")
    count = site().cluster.query("SELECT count(*) FROM vigie.reading WHERE parameter_id = (SELECT parameter_id FROM "
                                 "vigie.parameter WHERE name = 'body-weight')", None, "vigie")
    base.equal(count, [(len(WEIGHTS) + 1,)], "each reading once")


def test_dump_shows_what_the_journal_holds():
    records = [json.loads(line) for line in site().node.ctl("journal", "dump", "--json").splitlines()]
    values = [record["value"] for record in records if record["type"] == "reading"]
    for weight in WEIGHTS:
        base.check(round(weight, 6) in values, weight, "in", values)
    base.check([record["event"] for record in records if record["type"] == "event"], "events")
    base.check(any(record.get("command", {}).get("command") == "rule" for record in records), "the rules' commands")
    later = site().node.ctl("journal", "dump", "--from", str(records[-1]["position"]))
    base.equal(json.loads(later.splitlines()[0]), records[-1], "from a position on")


def test_without_any_key_it_does_not_start():
    node = site().node
    node.stop()
    kept = node.settings["journal"].pop("key")
    node.write_config()
    node.spawn()
    base.equal(node.child.wait(20), 78, "exit status")
    node.child = None
    base.check("openssl rand -hex 32" in base.tail(node.log), base.tail(node.log))
    status, _, errors = node.ctl("journal", "verify", expect=None)
    base.check(status == 78 and "journal-key" in errors, status, errors)
    node.settings["journal"]["key"] = kept
    node.write_config()
    node.start()


def test_without_identifier_key_it_says_so():
    node = site().node
    node.stop()
    kept = node.settings["auth"].pop("identifier_key")
    node.write_config()
    already = os.path.getsize(node.log)
    node.spawn()
    base.equal(node.child.wait(20), 78, "exit status")
    node.child = None
    with open(node.log) as file:
        file.seek(already)
        base.check("[auth] identifier_key" in file.read(), base.tail(node.log))
    node.settings["auth"]["identifier_key"] = kept
    node.write_config()
    node.start()
