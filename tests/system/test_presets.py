"""The presets as an installation meets them: loaded once, waiting for a physician, raising on their numbers, never mute."""
import functools
import json
import os
import shutil

from tests.harness import base, check, site as sites

PLAIN_ONLY = "one thread decides: nothing of it is new to a sanitizer"
TOKEN = "token-of-sys-a"
HOUR, DAY = 3600000, 86400000
START = check.to_ms("2026-12-01T00:00:00Z")
FOLDER = os.path.join(base.ROOT, "config", "presets")

# rule: (code, unit, value that is still good, value that raises); the clock stands at noon UTC.
BEYOND = {
    "dm.glucose-range": ("glucose-interstitial", "mg/dL", 180, 180.000001),
    "dm.glucose-blood-range": ("glucose-blood", "mg/dL", 70, 69),
    "gd.glucose-blood-low": ("glucose-blood", "mg/dL", 70, 69),
    "gd.glucose-interstitial-low": ("glucose-interstitial", "mg/dL", 70, 53),
    "hf.weight-gain-3d": ("body-weight", "kg", 82, 82.000002),
    "hf.weight-gain-7d": ("body-weight", "kg", 83, 83.000002),
    "hf.weight-doubtful": ("body-weight", "kg", 85, 85.000002),
    "hf.weight-over-reference": ("body-weight", "kg", 83, 83.000002),
    "hd.weight-over-dry-weight": ("body-weight@session-start", "kg", 81.5, 81.500002),
    "tx.egfr-low": ("egfr", "mL/min/{1.73_m2}", 30, 29.9),
    "hd.bp-systolic-start": ("bp-systolic@session-start", "mm[Hg]", 120, 119),
    "ox.spo2-low": ("spo2", "%", 88, 87),
    "ox.spo2-high": ("spo2", "%", 92, 93),
    "ckd.egfr-stage-5": ("egfr", "mL/min/{1.73_m2}", 15, 14),
}
FIRST = {"hf": [("body-weight", 80, "kg")]}  # what came just before


@functools.lru_cache(None)
def presets():
    loaded = []
    for name in sorted(os.listdir(FOLDER)):
        with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
            loaded.append(json.load(file))
    return loaded


@functools.lru_cache(None)
def site():
    place = sites.Site("presets", settings={"node": {"test_clock": check.to_text(START)}})
    place.node.import_rows(sites.organization_rows() + [sites.system_row("sys-a", TOKEN)])
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def patient_of(line):
    return "P-" + line


def patient_row(line, ref=None):
    row = dict(sites.patient_rows(ref or patient_of(line), device=False)[0], line=line)
    del row["enrolled_at"]
    return row


def confirmation(line, ref=None):
    return {"type": "confirmation", "patient": ref or patient_of(line), "line": line, "author": "Dr A", "role": "physician",
            "from": site().node.clock()["now"]}


def shown(ref):
    return json.loads(site().node.ctl("rules", "show", ref, "--json"))


def events(ref):
    site().node.wait_drained("postgres")
    rows = site().cluster.query("SELECT payload FROM vigie.alert_event ORDER BY shard, position, decided_at, sequence",
                                database="vigie")
    return [row[0] for row in rows if row[0]["patient"] == ref]


def send(ref, at, *readings):
    answer = site().node.http(TOKEN).readings(sites.message(ref, check.to_text(at), *readings))
    base.equal((answer.status, answer.json()["accepted"]), (200, len(readings)), answer)


def test_lines_wait_for_a_physician():
    base.check(len(presets()) >= 10, "presets", presets())
    site().node.import_rows([patient_row(preset["line"]) for preset in presets()])
    for preset in presets():
        found = shown(patient_of(preset["line"]))
        silent = [rule["id"] for rule in preset["rules"] if rule["kind"] == "silence"]
        base.equal([rule["id"] for rule in found["rules"] if rule["in_force"]], silent, preset["line"])
        base.equal(sorted(found["waiting"]),
                   sorted(rule["id"] for rule in preset["rules"] if rule["kind"] != "silence"), preset["line"])
    site().node.import_rows([confirmation(preset["line"]) for preset in presets()])
    for preset in presets():
        found = shown(patient_of(preset["line"]))
        base.equal(sorted((rule["id"], rule["in_force"], rule["layer"]) for rule in found["rules"]),
                   sorted((rule["id"], True, "line") for rule in preset["rules"]), preset["line"])
        base.equal(found["waiting"], [], preset["line"])


def test_rules_show_is_read_by_people():
    page = site().node.ctl("rules", "show", patient_of("heart-failure"))
    for words in ("hf.weight-gain-3d", "More than 5 kg of difference in one day", "Aucun poids transmis depuis 2 jours",
                  "body-weight: unit kg, rise 2.0, within 84h, priority medium", "by preset (system): preset of the line"):
        base.check(words in page, words, "in", page)
    site().node.import_rows([patient_row("diabetes", "P-waits")])
    page = site().node.ctl("rules", "show", "P-waits")
    base.equal(page.count("waits for a physician's confirmation"), 2, page)
    status, _, errors = site().node.ctl("rules", "show", "NOBODY", expect=None)
    base.equal((status, errors), (66, "vigiectl: not-found, found no such patient is enrolled, expected a patient or an "
                                      "episode that exists, check how it is written\n"))


def test_a_second_load_changes_nothing():
    def versions():
        return site().cluster.query("SELECT rule_id, version FROM vigie.rule_version ORDER BY 1, 2", database="vigie")

    before = versions()
    base.check("presets: 0 rule versions new" in site().node.ctl("db", "migrate"), "db migrate again")
    site().node.restart()
    base.equal(versions(), before, "versions after a restart")


def test_numbers_raise_beyond_and_not_at():
    noon = START + DAY + 12 * HOUR
    site().node.clock({"set": check.to_text(noon)})
    for preset in presets():
        for rule in preset["rules"]:
            if rule["kind"] in ("limit", "change", "reference"):
                judge_number(preset["line"], rule, BEYOND[rule["id"]], noon)


def judge_number(line, rule, row, noon):
    ref, (code, unit, good, bad) = "P-" + rule["id"], row
    site().node.import_rows([dict(patient_row(line, ref), enrolled_at="2026-11-01T00:00:00Z"), confirmation(line, ref)])
    if rule["kind"] == "reference":
        site().node.import_rows([{"type": "reference", "patient": ref, "parameter": "body-weight", "name": rule["reference"],
                                  "value": 80, "unit": "kg", "from": check.to_text(START), "author": "Dr A"}])
    for first in FIRST.get(rule["id"].split(".")[0], []):
        send(ref, noon, first)
    send(ref, noon + 1, (code, good, unit))
    base.equal([event for event in events(ref) if event["rule"]["id"] == rule["id"]], [], rule["id"], "at its limit")
    send(ref, noon + 2, (code, bad, unit))
    found = [event for event in events(ref) if event["rule"]["id"] == rule["id"]]
    base.equal([(event["event"], event["text"]) for event in found], [("raised", rule["text"])], rule["id"], "beyond it")


def test_days_raise_beyond_and_not_at():
    """Noon to noon for ventilation, midnight to midnight for oxygen; the days before are good ones."""
    site().node.clock({"set": check.to_text(START + 4 * DAY)})
    refs = {"use": enrol_confirmed("respiratory-niv", "P-use"), "drop": enrol_confirmed("respiratory-niv", "P-drop"),
            "oxygen": enrol_confirmed("respiratory-oxygen", "P-oxygen")}
    for day in range(5, 14):
        morning = START + day * DAY + 7 * HOUR
        site().node.clock({"set": check.to_text(morning)})
        send(refs["use"], morning, ("ventilation-use", {12: 4, 13: 3.99}.get(day, 4), "h"))
        send(refs["drop"], morning, ("ventilation-use", {12: 7, 13: 6.99}.get(day, 10), "h"))
        send(refs["oxygen"], morning, ("oxygen-use", {12: 15, 13: 14.9}.get(day, 16), "h"))
    site().node.clock({"set": check.to_text(START + 14 * DAY + 20 * HOUR)})
    noon, midnight = check.to_text(START + 13 * DAY + 11 * HOUR), check.to_text(START + 13 * DAY + 23 * HOUR)
    for name, rule, end in (("use", "niv.use-low", noon), ("drop", "niv.use-drop", noon), ("oxygen", "ox.use-low", midnight)):
        found = [(event["event"], event["rule"]["id"], event["raised_at"]) for event in events(refs[name])
                 if event["class"] == "clinical"]
        base.equal(found, [("raised", rule, end)], name)


def enrol_confirmed(line, ref):
    site().node.import_rows([patient_row(line, ref), confirmation(line, ref)])
    return ref


def test_an_alarm_nobody_mapped_is_urgent():
    ref = enrol_confirmed("implanted-devices", "P-implant")
    now = check.to_ms(site().node.clock()["now"])
    answer = site().node.http(TOKEN).readings({"patient": ref, "time": check.to_text(now), "events": [
        {"class": "lead", "episode": "1", "phase": "start", "time": check.to_text(now)}]})
    base.equal(answer.status, 200, answer)
    base.equal([(event["event"], event["rule"]["id"], event["priority"], event["class"]) for event in events(ref)],
               [("raised", "imp.device-alarm", "high", "device")])


def test_every_line_is_heard_when_nothing_comes():
    site().node.clock({"advance": "33d"})
    for preset in presets():
        silent = [rule for rule in preset["rules"] if rule["kind"] == "silence"][0]
        raised = [check.to_ms(event["raised_at"]) for event in events(patient_of(preset["line"]))
                  if event["rule"]["id"] == silent["id"] and event["event"] == "raised"]
        base.equal(raised, [due(silent)], preset["line"])


def due(rule):
    """The patients were enrolled at START, 01:00 in Paris: the first day that counts is the next one."""
    if "max_gap" in rule:
        return START + int(rule["max_gap"][:-1]) * {"h": HOUR, "d": DAY}[rule["max_gap"][-1]]
    start_hour = int(rule.get("day_start", "00:00")[:2])
    first = START - HOUR + (start_hour * HOUR if start_hour else DAY)
    return first + rule["missed_days"] * DAY + 6 * HOUR


def test_a_new_number_waits_for_the_next_confirmation():
    """A preset is loaded beside the running daemon; who was confirmed stays watched by what was confirmed."""
    folder = os.path.join(site().directory, "presets")
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    path = os.path.join(folder, "heart-failure.json")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    base.equal(text.count('"rise": 2.0'), 1)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace('"rise": 2.0', '"rise": 1.5'))
    site().node.settings["alerting"]["presets_dir"] = folder
    site().node.write_config()
    base.check("presets: 1 rule versions new" in site().node.ctl("db", "migrate"), "one new version")

    def gain():
        return [(rule["version"], rule["parameters"]["rise"]) for rule in shown(patient_of("heart-failure"))["rules"]
                if rule["id"] == "hf.weight-gain-3d"]

    site().node.restart()
    base.equal(gain(), [(1, 2.0)], "the confirmed version stays")
    site().node.clock({"advance": "1h"})
    site().node.import_rows([confirmation("heart-failure")])
    base.equal(gain(), [(2, 1.5)], "the next confirmation puts the new one in force")


def test_vital_signs_are_an_example_to_import():
    with_line = [preset["line"] for preset in presets()]
    base.check("vital-signs" not in with_line, with_line)
    site().node.ctl("import", os.path.join(base.ROOT, "config", "examples", "vital-signs.ndjson"))
    site().node.import_rows([patient_row("vital-signs")])
    found = shown(patient_of("vital-signs"))
    base.equal([rule["id"] for rule in found["rules"]], ["vs.silence"])
    base.equal(len(found["waiting"]), 6, found)
    site().node.import_rows([confirmation("vital-signs")])
    now = check.to_ms(site().node.clock()["now"])
    send(patient_of("vital-signs"), now + 1000, ("spo2", 87, "%"))
    send(patient_of("vital-signs"), now + 2000, ("spo2", 86, "%"))
    base.equal([(event["event"], event["rule"]["id"], event["priority"]) for event in events(patient_of("vital-signs"))],
               [("raised", "technical.rules-unconfirmed", "medium"), ("cleared", "technical.rules-unconfirmed", "medium"),
                ("raised", "vs.spo2", "high")])
