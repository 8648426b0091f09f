"""What the French texts ask of the five lines (REGULATION.md section 1), each requirement as a test by its name."""
import functools
import json
import os

from tests.harness import base, check, site as sites

TOKEN = "token-of-sys-a"
START = check.to_ms("2026-12-01T00:00:00Z")
MINUTE, HOUR, DAY = 60000, 3600000, 86400000
WEIGHT, CGM, LEAK = ("body-weight", "kg"), ("glucose-interstitial", "mg/dL"), ("ventilation-leak-unintentional", "L/min")
SEVERE = {"id": "dm.severe-hypo", "line": "diabetes", "kind": "occurrences", "parameter": "glucose-interstitial",
          "unit": "mg/dL", "below": 54, "times": 3, "within": "24h", "priority": "high",
          "text": {"fr": "Hypoglycémies sévères", "en": "Severe hypoglycaemia"}}


@functools.lru_cache(None)
def site():
    place = sites.Site("regulation", settings={"node": {"test_clock": check.to_text(START)}})
    place.node.import_rows(sites.organization_rows() + [sites.system_row("sys-a", TOKEN)])
    place.node.clock({"advance": "60h"})
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def now():
    return check.to_ms(site().node.clock()["now"])


def advance(duration):
    site().node.clock({"advance": duration})


def enrol(ref, line, *rules, confirmed=True):
    """A patient of a line, its rules confirmed, with rules of the patient's own."""
    row = dict(sites.patient_rows(ref, device=False)[0], line=line, enrolled_at="2026-11-01T00:00:00Z")
    rows = [row] + [sites.rule_row(rule, patient=ref) for rule in rules]
    if confirmed:
        rows.append({"type": "confirmation", "patient": ref, "line": line, "author": "Dr A", "role": "physician",
                     "from": check.to_text(now())})
    site().node.import_rows(rows)
    return ref


def rule_of(preset, name, **changes):
    """A rule of a preset as the patient's own, so that it reaches back."""
    with open(os.path.join(base.ROOT, "config", "presets", preset + ".json"), encoding="utf-8") as file:
        rules = {rule["id"]: rule for rule in json.load(file)["rules"]}
    return dict(rules[name], **changes)


def send(patient, kind, *pairs):
    """(time, value) in one request."""
    items = [{"code": kind[0], "unit": kind[1], "value": value, "time": check.to_text(at)} for at, value in pairs]
    answer = site().node.http(TOKEN).readings(sites.message(patient, check.to_text(now()), *items))
    base.equal((answer.status, answer.json()["rejected"], answer.json()["quarantined"]), (200, [], 0), answer)


def events(patient, rule=None):
    """All but silence: a patient enrolled with a past has been silent."""
    site().node.wait_drained("postgres")
    rows = site().cluster.query("SELECT payload FROM vigie.alert_event ORDER BY shard, position, decided_at, sequence",
                                database="vigie")
    return [event for event, in rows if event["patient"] == patient and event["class"] in ("clinical", "device")
            and rule in (None, event["rule"]["id"])]


def episodes(patient, rule=None):
    """The set of RULES.md section 1: what stands after the last event of each episode."""
    last = {event["episode_id"]: event for event in events(patient, rule)}
    return sorted((event["rule"]["id"], event["side"], event["raised_at"], event["cleared_at"] or "", event["state"],
                   json.dumps(event["priorities"])) for event in last.values() if event["state"] != "cancelled")


def refused(row, *words):
    path = os.path.join(site().node.directory, "refused.ndjson")
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    status, _, errors = site().node.ctl("import", path, expect=None)
    base.equal(status, 65, errors)
    for word in words:
        base.check(word in errors, word, "in", errors)


# ---- diabetes ----

def crossings(start, *hours, samples=4):
    """A sensor every five minutes: at each hour it falls below 54 for `samples` readings."""
    pairs = []
    for hour in hours:
        at = start + int(hour * HOUR)
        pairs += [(at - 5 * MINUTE, 80)] + [(at + i * 5 * MINUTE, 50) for i in range(samples)]
        pairs.append((at + samples * 5 * MINUTE, 80))
    return pairs


def test_severe_hypoglycaemia_is_three_crossings_in_a_day_set_per_patient():
    """FAQ-HYPO: threshold, N and T are the professional's; samples of one fall are one crossing."""
    start = now() - 48 * HOUR
    enrol("SH-1", "diabetes", SEVERE)
    enrol("SH-2", "diabetes", dict(SEVERE, below=60, times=2, within="6h"))
    enrol("SH-3", "diabetes")
    for patient in ("SH-1", "SH-2", "SH-3"):
        send(patient, CGM, *crossings(start, 1, 9, 24))       # 24 h is within a day of 1 h
    found = events("SH-1", "dm.severe-hypo")
    base.equal([(event["event"], event["raised_at"]) for event in found][:1], [("raised", check.to_text(start + 24 * HOUR))])
    base.equal([reading["measured_at"] for reading in found[0]["readings"]],
               [check.to_text(start + hour * HOUR) for hour in (1, 9, 24)], "what it rests on: the three crossings")
    base.equal((found[0]["rule"]["layer"], found[0]["rule"]["parameters"]["times"], found[0]["rule"]["parameters"]["within"]),
               ("patient", 3, "24h"), "the professional's numbers travel with the alert")
    base.equal(events("SH-2", "dm.severe-hypo"), [], "two crossings in six hours, of another patient")
    send("SH-2", CGM, *crossings(start, 27))
    base.equal([(event["event"], event["raised_at"]) for event in events("SH-2", "dm.severe-hypo")][:1],
               [("raised", check.to_text(start + 27 * HOUR))])
    base.equal(events("SH-3", "dm.severe-hypo"), [], "no number is shipped: whoever sets none has no such alert")
    enrol("SH-4", "diabetes", SEVERE)
    send("SH-4", CGM, *crossings(start, 1, 9, 25.0001))
    base.equal(events("SH-4", "dm.severe-hypo"), [], "the first is out of the day: two in any 24 hours")


def test_a_hypoglycaemia_does_not_hide_behind_an_open_hyperglycaemia():
    enrol("HH", "diabetes", rule_of("diabetes", "dm.glucose-range", clear_count=3))
    at = now() - HOUR
    send("HH", CGM, (at, 260))
    send("HH", CGM, (at + 5 * MINUTE, 50))
    base.equal([(event["event"], event["side"], event["priority"], event["state"]) for event in events("HH")],
               [("raised", "high", "medium", "open"), ("raised", "low", "high", "open")])
    open_now = site().cluster.query("SELECT side, priority FROM vigie.open_alert WHERE patient = 'HH' ORDER BY 1",
                                    database="vigie")
    base.equal(open_now, [("high", "medium"), ("low", "high")], "both are open, the low one is high")


def week(start):
    """Seven days of a sensor every 15 minutes with falls of several depths, nights above, and a gap."""
    pairs = []
    for i in range(7 * 96):
        hour = i / 4
        if 50 <= hour < 53:
            continue
        value = 130 + (60 if hour % 24 < 4 else 0) + i % 7
        for fall, low, length in ((13, 50, 3), (30, 65, 2), (34, 50, 1), (36, 45, 5), (100, 52, 2), (107, 49, 2), (113, 53, 2)):
            if fall <= hour < fall + length / 4:
                value = low
        pairs.append((start + i * 15 * MINUTE, value))
    return pairs


def test_a_weekly_upload_gives_the_same_episodes_oldest_and_newest_first():
    advance("7d")
    pairs = week(now() - 7 * DAY)
    halves = [pairs[i:i + 96] for i in range(0, len(pairs), 96)]
    ways = {"W-1": [pairs], "W-2": halves, "W-3": halves[::-1], "W-4": [[pair] for pair in pairs[::-1][::7]] + [pairs],
            "W-5": [part[::-1] for part in halves[1::2] + halves[::2]]}
    for patient, requests in ways.items():
        enrol(patient, "diabetes", SEVERE, rule_of("diabetes", "dm.glucose-range"))
        for request in requests:
            send(patient, CGM, *request)
    expected = episodes("W-1")
    base.check(len([episode for episode in expected if episode[0] == "dm.severe-hypo"]) >= 2, "severe ones", expected)
    base.check(len(expected) >= 14, "episodes", expected)
    for patient in ways:
        base.equal(episodes(patient), expected, patient)


def test_a_backlog_that_ends_in_danger_pages():
    """What is over does not page; what is still so at the end of the upload does."""
    enrol("B-1", "diabetes", rule_of("diabetes", "dm.glucose-range"))
    enrol("B-2", "diabetes", rule_of("diabetes", "dm.glucose-range"))
    end = now() - 5 * MINUTE
    backlog = [(end - 3 * DAY + i * HOUR, 60 if i in (5, 30) else 120) for i in range(72)]
    send("B-1", CGM, *(backlog + [(end, 50)]))
    send("B-2", CGM, *(backlog + [(end, 110)]))
    told = [(event["event"], event["priority"], event["retrospective"]) for event in events("B-1")]
    bygone = [("raised", "medium", True), ("cleared", "medium", True)] * 2
    base.equal(told, bygone + [("raised", "high", False)], "danger now is live")
    base.equal([(event["event"], event["priority"], event["retrospective"]) for event in events("B-2")], bygone)


# ---- heart failure ----

def test_weight_gain_is_seen_over_gaps():
    """A missed day hides nothing: what was weighed within three days, or the week, is what counts."""
    enrol("WG", "heart-failure", rule_of("heart-failure", "hf.weight-gain-3d"), rule_of("heart-failure", "hf.weight-gain-7d"))
    start = now() - 20 * DAY + 10 * MINUTE
    send("WG", WEIGHT, (start, 80))
    send("WG", WEIGHT, (start + 3 * DAY + 10 * MINUTE, 82.5))  # weighed on Monday and ten minutes later on Thursday
    base.equal([(event["event"], event["rule"]["id"], event["value"]) for event in events("WG")],
               [("raised", "hf.weight-gain-3d", 82.5)])
    base.equal([reading["value"] for reading in events("WG")[0]["readings"]], [80, 82.5], "the lowest of the window and this")
    send("WG", WEIGHT, (start + 8 * DAY, 85.6))                # nothing for five days: no window of three to judge by
    base.equal([(event["event"], event["rule"]["id"]) for event in events("WG")][1:], [("raised", "hf.weight-gain-7d")])
    send("WG", WEIGHT, (start + 10 * DAY, 85.55))
    base.equal([(event["event"], event["rule"]["id"]) for event in events("WG")][2:], [("cleared", "hf.weight-gain-3d")],
               "the next one that can be judged clears it")
    send("WG", WEIGHT, (start + 2 * DAY, 80.2))                # a late one in the gap: the same episodes
    base.equal([episode[:4] for episode in episodes("WG")],
               [("hf.weight-gain-3d", "high", check.to_text(start + 3 * DAY + 10 * MINUTE), check.to_text(start + 10 * DAY)),
                ("hf.weight-gain-7d", "high", check.to_text(start + 8 * DAY), "")])


# ---- renal ----

def dry_weight(patient, value, at, parameter="body-weight"):
    return {"type": "reference", "patient": patient, "parameter": parameter, "name": "dry-weight", "value": value, "unit": "kg",
            "from": check.to_text(at), "author": "Dr N"}


def test_a_gain_over_the_dry_weight_is_judged_by_the_dry_weight_of_its_day():
    rule = rule_of("renal-haemodialysis", "hd.weight-over-dry-weight", parameter="body-weight")
    enrol("DW", "renal-haemodialysis", dict(rule, id="own.dry-weight"))
    start = now() - 12 * DAY
    send("DW", WEIGHT, (start, 75))
    base.equal(events("DW"), [], "without a dry weight nothing is judged")
    site().node.import_rows([dry_weight("DW", 71.2, start + HOUR)])
    send("DW", WEIGHT, (start + 2 * DAY, 72.7))
    base.equal(events("DW"), [], "1.5 kg above is not more than 1.5 kg")
    send("DW", WEIGHT, (start + 4 * DAY, 72.8))
    found = events("DW")
    base.equal([(event["event"], event["value"], event["reference"]["value"]) for event in found], [("raised", 72.8, 71.2)])
    site().node.import_rows([dry_weight("DW", 72, start + 3 * DAY)])  # the physician dates it back
    base.equal(events("DW")[-1]["event"], "cancelled", "judged anew by the dry weight of that day")
    send("DW", WEIGHT, (start + 6 * DAY, 73.6), (start + 8 * DAY, 72.5))
    base.equal([episode[2:5] for episode in episodes("DW")],
               [(check.to_text(start + 6 * DAY), check.to_text(start + 8 * DAY), "cleared")])


def test_a_dry_weight_serves_the_sessions_of_dialysis():
    """The dry weight is one number of the patient, set once: the weight at the start of a session is held against it."""
    enrol("DS", "renal-haemodialysis", rule_of("renal-haemodialysis", "hd.weight-over-dry-weight"))
    at = now() - 2 * DAY
    site().node.import_rows([dry_weight("DS", 71.2, at)])
    send("DS", ("body-weight@session-start", "kg"), (at + HOUR, 73))
    base.equal([(event["event"], event["parameter"]["name"]) for event in events("DS")],
               [("raised", "body-weight@session-start")])
    site().node.import_rows([dry_weight("DS", 71.8, at)])
    base.equal(events("DS")[-1]["event"], "cancelled", "mended for that day: 1.2 kg above")
    site().node.import_rows([dry_weight("DS", 71.2, at, "body-weight@session-start")])
    base.equal(events("DS")[-1]["reason"], "reinstated", "one of the phase itself goes before it")


# ---- respiratory ----

def leak_rule(days, **changes):
    return dict({"id": "niv.leak-%d" % days, "line": "respiratory-niv", "kind": "daily", "parameter": LEAK[0], "unit": "L/min",
                 "statistic": "median", "above": 24, "days": days, "day_start": "12:00", "priority": "medium",
                 "text": {"fr": "Fuite", "en": "Leak"}}, **changes)


def test_a_leak_is_judged_by_daily_median_on_three_to_seven_days():
    """IRESP 9: median or mean over 24 h, at least 3 consecutive days, at most 7; 2 and 8 are refused."""
    enrol("L", "respiratory-niv", *[leak_rule(days) for days in range(3, 8)], leak_rule(3, id="niv.leak-mean", statistic="mean"))
    for days in (2, 8):
        refused(sites.rule_row(leak_rule(days), patient="L"), "days", str(days), "from 3 to 7")
    noon = START - 25 * HOUR + DAY * ((now() - START) // DAY - 8)  # noon in Paris, eight days ago and more
    noon += 12 * HOUR
    for day in range(8):
        high = [30, 31, 90] if day < 7 else [5, 5, 5]              # the median is 31, the mean more
        low = [1, 2, 25] if day == 0 else high                     # on day 0 one high value of three: no high median
        send("L", LEAK, *[(noon + day * DAY + (10 + i) * HOUR, value) for i, value in enumerate(low)])
    advance("48h")
    raised = {episode[0]: (episode[2], episode[3]) for episode in episodes("L") if episode[0].startswith("niv.leak")}
    for days in range(3, 7):
        base.equal(raised.get("niv.leak-%d" % days),
                   (check.to_text(noon + (days + 1) * DAY), check.to_text(noon + 8 * DAY)), days, "days", raised)
    base.check("niv.leak-7" not in raised, "six days of seven", raised)
    base.equal(raised.get("niv.leak-mean", ("",))[0], check.to_text(noon + 4 * DAY), "the mean of day 0 is below, too")


# ---- implants ----

def alarm(patient, name, episode, phase, at):
    answer = site().node.http(TOKEN).readings({"patient": patient, "time": check.to_text(now()), "events": [
        {"class": name, "episode": episode, "phase": phase, "time": check.to_text(at)}]})
    base.equal(answer.status, 200, answer)


def test_an_implants_alarm_is_kept_as_its_maker_classified_it():
    """The class travels with the alert, its priority is what was mapped, and no number of ours judges it again."""
    enrol("IM", "implanted-devices", rule_of("implanted-devices", "imp.device-alarm",
                                             classes={"red": "high", "yellow": "medium", "*": "high"}))
    at = now() - HOUR
    alarm("IM", "yellow", "E-1", "start", at)
    alarm("IM", "lead-noise", "E-2", "start", at + MINUTE)   # nobody mapped it: urgent
    alarm("IM", "red", "E-1", "continue", at + 2 * MINUTE)
    alarm("IM", "red", "E-1", "end", at + 3 * MINUTE)
    found = events("IM", "imp.device-alarm")
    base.equal([(event["event"], event["priority"], event["device_event"]["class"], event["device_event"]["episode"])
                for event in found],
               [("raised", "medium", "yellow", "E-1"), ("raised", "high", "lead-noise", "E-2"),
                ("escalated", "high", "red", "E-1"), ("cleared", "high", "red", "E-1")])
    base.equal({event["class"] for event in found}, {"device"})
    base.equal(len({event["episode_id"] for event in found}), 2, "one episode for each of the device's")
    base.equal([event["value"] for event in found], [None] * 4, "no value of ours")
