"""Quarantine from both ends: what is kept aside and why, and a person who releases or discards it: stored once, judged
like any reading, told again as a duplicate, explained, over kills and with PostgreSQL or the daemon away."""
import functools
import json

from tests.harness import base, check, site as sites

TOKEN = "token-of-sys-a"
START = check.to_ms("2026-12-01T00:00:00Z")
MINUTE, HOUR, DAY = 60000, 3600000, 86400000
FLAG_LATE, FLAG_RELEASED = 4, 256
PATIENTS = ["P-%d" % number for number in range(1, 10)]
WORDS = ("--author", "Dr Test", "--reason", "seen at home")
LDL = {"code": "2089-1", "unit": "mmol/L"}


@functools.lru_cache(None)
def site():
    place = sites.Site("quarantine", settings={"node": {"test_clock": check.to_text(START), "shards": 2}})
    rows = sites.organization_rows() + [sites.rule_row(dict(sites.SILENCE, max_gap="12h")), sites.rule_row(sites.GLUCOSE),
                                        sites.system_row("sys-a", TOKEN)]
    for ref in PATIENTS:
        rows += sites.patient_rows(ref, device=False)
    place.node.import_rows(rows)
    place.node.clock({"advance": "1h"})  # rules of the line are in force from their import
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def now():
    return check.to_ms(site().node.clock()["now"])


def send(patient, value, at, verdict, **more):
    reading = dict({"code": "2339-0", "value": value, "unit": "mg/dL", "time": check.to_text(at)}, **more)
    answer = site().node.https(TOKEN).readings(sites.message(patient, reading["time"], reading))
    base.equal(answer.status, 200, answer)
    base.equal({key: n for key, n in answer.json().items() if key != "rejected" and n}, {verdict: 1}, reading)


def listed(patient, *more):
    site().node.wait_drained("postgres")
    return json.loads(site().node.ctl("quarantine", "list", "--patient", patient, "--json", *more))


def set_aside(patient, value, at, **more):
    """Its number in the quarantine."""
    known = {row["quarantine_id"] for row in listed(patient)}
    send(patient, value, at, "quarantined", **more)
    fresh = [row for row in listed(patient) if row["quarantine_id"] not in known]
    base.equal(len(fresh), 1, "rows of", patient)
    return fresh[0]


def settle(verb, row, expect=0):
    status, output, errors = site().node.ctl("quarantine", verb, str(row["quarantine_id"]), *WORDS, expect=None)
    base.equal(status, expect, verb, row, errors)
    base.equal(errors.count("\n"), 1 if expect else 0, "one line", errors)
    return errors


def readings(patient, more=""):
    site().node.wait_drained("postgres")
    return site().cluster.query(
        "SELECT value, flags & 260, revision, original_text, extract(epoch FROM measured_at)::bigint * 1000,"
        " extract(epoch FROM received_at)::bigint * 1000 FROM vigie.reading JOIN vigie.patient USING (patient_id)"
        " WHERE ref = %s" + more, (patient,), "vigie")


def settled(row):
    site().node.wait_drained("postgres")
    found = site().cluster.query("SELECT extract(epoch FROM released_at)::bigint * 1000, extract(epoch FROM discarded_at)::bigint"
                                 " * 1000 FROM vigie.quarantine WHERE quarantine_id = %s", (row["quarantine_id"],), "vigie")
    return found[0]


def alerts(patient, rule):
    site().node.wait_drained("postgres")
    return [alert for alert in json.loads(site().node.ctl("alerts", "--patient", patient, "--json")) if alert["rule_id"] == rule]


def audited(row):
    return site().cluster.query("SELECT actor, action, subject, detail->>'reason' FROM audit.event WHERE action LIKE 'quarantine.%%'"
                                " AND detail->>'quarantine_id' = %s ORDER BY event_id", (str(row["quarantine_id"]),), "vigie")


def waiting():
    site().node.wait_drained("postgres")
    return site().node.metrics()["vigie_quarantine_rows"]


def advance(duration):
    site().node.clock({"advance": duration})


def test_released_it_is_judged_like_any_reading():
    at, before = now() - 5 * MINUTE, waiting()
    row = set_aside("P-1", 2001, at)
    base.equal([row[key] for key in ("patient", "parameter", "value", "unit", "reason", "measured_at", "settled")],
               ["P-1", "glucose-blood", 2001, "mg/dL", "impossible", check.to_text(at), None], "listed")
    base.equal([row["original"][key] for key in ("original_text", "original_unit", "original_code")], ["2001", "mg/dL", "2339-0"],
               "what was sent")
    base.equal((readings("P-1"), waiting() - before), ([], 1), "aside")
    technical = alerts("P-1", "technical.quarantine")
    base.equal([(alert["priority"], alert["state"]) for alert in technical], [("high", "open")], "of the most urgent rule")
    base.equal(alerts("P-1", "test.glucose"), [], "judged by nobody")
    advance("10m")
    released_at = now()
    settle("release", row)
    base.equal(readings("P-1"), [(2001000000, FLAG_RELEASED, 0, "2001", at, released_at - 10 * MINUTE)], "its original times")
    base.equal(settled(row), (released_at, None), "when")
    base.equal((listed("P-1"), waiting()), ([], before), "nothing waits")
    shown = listed("P-1", "--all")[0]
    base.equal([shown[key] for key in ("settled", "settled_by", "settled_reason", "released_at")],
               ["released", "Dr Test", "seen at home", check.to_text(released_at)], "trace")
    base.equal(audited(row), [("Dr Test", "quarantine.release", "P-1", "seen at home")], "audited, and once")
    raised = alerts("P-1", "test.glucose")
    base.equal([(alert["side"], alert["priority"], alert["raised_at"], alert["retrospective"]) for alert in raised],
               [("high", "medium", check.to_text(at), False)], "alert")
    base.check("released already" in settle("release", row, 65))
    base.check("released already" in settle("discard", row, 65))
    send("P-1", 2001, at, "duplicate")
    advance("25h")
    base.equal([alert["state"] for alert in alerts("P-1", "technical.quarantine")], ["cleared"], "a day later")


def explained(patient):
    found = alerts(patient, "test.glucose")
    for alert in found:
        base.equal(json.loads(site().node.ctl("explain", alert["episode_id"], "--json"))["equal"], True, "explained", alert)
    return [(alert["state"], alert["priority"]) for alert in found]


def test_explained_and_back_tested_it_is_the_same():
    at = now() - 5 * MINUTE
    send("P-2", 120, at - MINUTE, "accepted", id="one")
    row = set_aside("P-2", 2002, at, id="two")
    send("P-2", 200, at + MINUTE, "accepted", id="three")
    advance("1m")
    settle("release", row)
    base.equal(explained("P-2"), [("cleared", "medium")], "late")
    path = site().directory + "/rules.json"
    with open(path, "w") as file:
        json.dump(sites.GLUCOSE, file)
    tried = json.loads(site().node.ctl("backtest", "--rules", path, "--from", check.to_text(START), "--to",
                                       check.to_text(now() + MINUTE), "--patients", "P-2", "--json"))
    base.equal((tried["added"], tried["removed"]), ([], []), "back test with the same rules", tried)
    # what it is called finds it, wherever the void says that it was measured
    advance("1m")
    send("P-2", 2002, at + MINUTE // 2, "accepted", id="two", status="void", issued=check.to_text(now()))
    base.equal(explained("P-2"), [("cancelled", "medium")], "taken back by its identifier")
    site().node.kill()
    site().node.start()
    differences = [value for name, value in site().node.metrics().items() if name.startswith("vigie_replay_differences")]
    base.equal(differences, [0, 0], "differences of the shards")
    base.equal(explained("P-2"), [("cancelled", "medium")], "after a restart")


def test_the_future_waits_for_its_time():
    at = now() + 2 * HOUR
    row = set_aside("P-3", 40, at)
    base.equal(row["reason"], "future", row)
    base.check("a time that has come" in settle("release", row, 65))
    advance("110m")
    base.check("a time that has come" in settle("release", row, 65))
    advance("6m")
    settle("release", row)
    base.equal([reading[:2] for reading in readings("P-3")], [(40000000, FLAG_RELEASED)], "stored")
    base.equal([alert["priority"] for alert in alerts("P-3", "test.glucose")], ["high"], "judged")
    advance("5m")
    send("P-3", 40, at, "duplicate")
    base.equal(len(readings("P-3")), 1, "once")


def test_a_unit_of_another_kind_is_never_released():
    at = now() - MINUTE
    for time, reason in ((at, "unit"), (now() + DAY, "unit")):
        row = set_aside("P-4", 3.4, time, **LDL)
        base.equal((row["reason"], row["value"], row["unit"]), (reason, 3.4, "mmol/L"), row)
        base.check("mass unit" in settle("release", row, 65))
    settle("discard", row)
    base.equal((settled(row)[0], settled(row)[1] is not None, readings("P-4")), (None, True, []), "discarded")
    send("P-4", 3.4, check.to_ms(row["measured_at"]), "duplicate", **LDL)
    base.check("discarded already" in settle("discard", row, 65))
    base.equal([one["settled"] for one in listed("P-4", "--all")], [None, "discarded"], "one waits")


def test_later_than_the_look_back_it_is_stored_and_not_judged():
    row = set_aside("P-5", 2005, now() - MINUTE)
    older, discarded = set_aside("P-5", 2006, now() - MINUTE), set_aside("P-5", 2007, now() - MINUTE)
    for _ in range(36):
        advance("24h")
    settle("release", row)
    base.equal([reading[:2] for reading in readings("P-5")], [(2005000000, FLAG_RELEASED | FLAG_LATE)], "stored, late")
    base.equal(alerts("P-5", "test.glucose"), [], "judged by nobody")
    for _ in range(36):  # nothing of the series is held any more
        advance("24h")
    settle("discard", discarded)
    settle("release", older)
    base.check("discarded already" in settle("release", discarded, 65))
    base.check("released already" in settle("release", row, 65))
    base.equal(sorted(reading[:3] for reading in readings("P-5")),
               [(2005000000, FLAG_RELEASED | FLAG_LATE, 0), (2006000000, FLAG_RELEASED | FLAG_LATE, 0)], "once each")
    base.equal(settled(older)[0], now(), "settled")


def test_it_counts_for_silence_when_it_is_released():
    send("P-6", 100, now(), "accepted")
    row = set_aside("P-6", 2006, now() - MINUTE)
    silent = len(alerts("P-6", "test.silence"))
    advance("11h")
    settle("release", row)
    advance("11h")
    base.equal(len(alerts("P-6", "test.silence")), silent, "released 11 h ago")
    advance("2h")
    base.equal(len(alerts("P-6", "test.silence")), silent + 1, "13 h ago")


def test_a_kill_between_word_and_row():
    at = now() - MINUTE
    released, discarded = set_aside("P-7", 2007, at), set_aside("P-7", 2008, at)
    hold = site().cluster.session("vigie")
    hold.cursor().execute("LOCK TABLE vigie.journal_command IN SHARE MODE")
    settle("release", released)
    settle("discard", discarded)
    for verb, row in (("release", released), ("release", discarded), ("discard", released)):
        base.check("already" in settle(verb, row, 65), "PostgreSQL does not know it yet")
    site().node.kill()
    site().node.start()
    for verb, row in (("release", released), ("release", discarded)):
        base.check("already" in settle(verb, row, 65), "the journal knows")
    send("P-7", 2007, at, "duplicate")
    hold.close()
    base.equal([reading[:3] for reading in readings("P-7")], [(2007000000, FLAG_RELEASED, 0)], "once")
    base.equal([bool(when) for when in settled(released) + settled(discarded)], [True, False, False, True], "settled")
    base.equal(len(alerts("P-7", "test.glucose")), 1, "one alert")
    site().node.kill()
    site().node.start()
    base.equal(len(readings("P-7")), 1, "and once")
    send("P-7", 2008, at, "duplicate")


def test_who_may_and_who_is_away():
    row = set_aside("P-8", 2009, now() - MINUTE)
    node, path, body = site().node, "/v1/quarantine/%d/release" % row["quarantine_id"], {"author": "Dr Test", "reason": "seen"}
    tokens = {role: node.ctl("token", "issue", "--admin", role).split()[-1] for role in ("nurse", "operator")}
    base.equal(node.admin().post(path, body).status, 401, "without a token")
    base.equal(node.admin(tokens["operator"]).post(path, body).status, 403, "an operator")
    base.equal(node.admin(tokens["nurse"]).post(path, {"author": 1}).status, 400, "author of another type")
    base.equal(node.admin(tokens["nurse"]).post(path, dict(body, reason="")).status, 400, "an empty reason")
    base.equal(node.admin(tokens["nurse"]).post("/v1/quarantine/%d/forget" % row["quarantine_id"], body).status, 404, "verb")
    status, _, errors = node.ctl("quarantine", "release", "999999", *WORDS, expect=None)
    base.equal((status, "no such id" in errors), (66, True), errors)
    node.ctl("quarantine", "release", "P-8", *WORDS, expect=64)
    node.ctl("quarantine", "release", *WORDS, expect=64)
    site().cluster.stop("immediate")
    try:
        base.check("PostgreSQL" in settle("release", row, 69))
    finally:
        site().cluster.start()
    base.wait_for("the registry is connected again",
                  lambda: node.admin(tokens["nurse"]).post(path, body).status == 200, 30, 0.2)
    node.stop()
    base.check("running" in settle("release", row, 69))
    node.start()
    base.equal(len(readings("P-8")), 1, "released")


def test_without_words_the_peer_is_the_author():
    row = set_aside("P-9", 2010, now() - MINUTE)
    site().node.ctl("quarantine", "discard", str(row["quarantine_id"]))
    shown = listed("P-9", "--all")[0]
    base.equal((shown["settled"], shown["settled_reason"]), ("discarded", None), shown)
    base.equal(audited(row), [(shown["settled_by"], "quarantine.discard", "P-9", None)], "audited")
    base.check(shown["settled_by"], "who of the socket:", shown)
