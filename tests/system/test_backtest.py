"""vigiectl backtest: a known history, rules that are stricter or laxer than those that were in force: exactly what
would have been added and removed."""
import functools
import json
import os
import signal
import subprocess

from tests.harness import base, check, site as sites, vigied
from tests.harness.site import message

TOKEN = "token-of-sys-a"
START = check.to_ms("2026-12-01T00:00:00Z")
MINUTE, HOUR, DAY = 60000, 3600000, 86400000
PATIENTS = ["P-%d" % number for number in range(1, 8)]
# days and the lowest value of a dip of two readings; back at 100 an hour later
DIPS = {"P-1": {1: 60, 3: 68, 5: 50}, "P-2": {2: 72, 4: 66}, "P-3": {1: 75}}
FROM, TO = check.to_text(START + DAY), check.to_text(START + 6 * DAY)


def below(limit, **more):
    return dict(sites.GLUCOSE, levels=[{"priority": "medium", "below": limit}, {"priority": "medium", "above": 250}],
                requires_validation=True, **more)


@functools.lru_cache(None)
def site():
    place = sites.Site("backtest", settings={"node": {"test_clock": check.to_text(START)}})
    rows = sites.organization_rows() + [sites.rule_row(sites.SILENCE)]
    # a candidate takes the place of every version of the line
    rows += [sites.rule_row(dict(below(limit), requires_validation=False)) for limit in (69, 70)]
    for ref in PATIENTS:
        rows += sites.patient_rows(ref, device=False)
    # a patient whose own limit stands above the line's
    rows += [sites.rule_row(below(70), patient="P-3")]
    place.node.import_rows(rows + [sites.system_row("sys-a", TOKEN)])
    for day in range(1, 7):
        place.node.clock({"set": check.to_text(START + day * DAY)})
        for ref in PATIENTS[:4]:
            send(place, ref, day)
    place.node.wait_drained("postgres")
    place.relevant = raised(place, "P-1", 3)
    place.node.ctl("alert", "handle", place.relevant, "--author", "Dr Test", "--outcome", "relevant")
    place.node.wait_drained("postgres")
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def begins(day):
    return START + (day - 1) * DAY + 8 * HOUR


def send(place, ref, day):
    dip = DIPS.get(ref, {}).get(day, 100)
    values = [(0, 100), (1, dip), (2, dip + 1), (3, 100)]
    readings = [{"code": "glucose-blood", "value": v, "unit": "mg/dL", "time": check.to_text(begins(day) + h * HOUR)}
                for h, v in values]
    answer = place.node.https(TOKEN).readings(message(ref, readings[0]["time"], *readings))
    base.equal(answer.status, 200, answer)


def raised(place, ref, day):
    return place.cluster.query("SELECT episode_id::text FROM vigie.alert JOIN vigie.patient USING (patient_id) WHERE ref = %s"
                               " AND raised_at = %s", (ref, check.to_text(begins(day) + HOUR)), "vigie")[0][0]


def write(name, rules):
    path = os.path.join(site().directory, name)
    with open(path, "w") as file:
        json.dump(rules, file)
    return path


def run(rules, *more, expect=0):
    status, output, errors = site().node.ctl("backtest", "--rules", rules, "--from", FROM, "--to", TO, "--json", *more,
                                             expect=None)
    base.equal(status, expect, errors)
    return json.loads(output) if status == 0 else errors


def shown(episodes):
    return sorted((e["patient"], (check.to_ms(e["raised_at"]) - begins(1)) // DAY + 1) for e in episodes)


def test_the_same_rules_change_nothing():
    answer = run(write("same.json", [below(70)]))
    base.equal((answer["added"], answer["removed"]), ([], []))
    # P-1 on day 3 and 5 (day 1 lies before --from), P-2 on day 4
    base.equal(shown(answer["unchanged"]), [("P-1", 3), ("P-1", 5), ("P-2", 4)])
    base.check(not any(e["changed"] for e in answer["unchanged"]), answer)
    base.equal((answer["alerts_before"], answer["alerts_after"], answer["patients"]), (3, 3, 7))
    months = 7 * 5 / (365.25 / 12)
    base.equal(answer["patient_months"], round(months, 3))
    base.equal(answer["per_patient_month_before"], round(3 / months, 3))


def test_a_stricter_rule_adds():
    answer = run(write("stricter.json", {"preset": "x", "rules": [below(76)]}))
    base.equal((shown(answer["added"]), answer["removed"]), ([("P-2", 2)], []), "P-3 has a limit of its own")
    base.equal((answer["alerts_before"], answer["alerts_after"]), (3, 4))


def test_a_laxer_rule_removes_and_says_what_was_relevant():
    rules = write("laxer.json", [below(65)])
    answer = run(rules)
    base.equal((answer["added"], shown(answer["removed"])), ([], [("P-1", 3), ("P-2", 4)]))
    base.equal(answer["removed_relevant"], [site().relevant])
    base.equal((answer["alerts_before"], answer["alerts_after"]), (3, 1))
    text = site().node.ctl("backtest", "--rules", rules, "--from", FROM, "--to", TO)
    base.check("0 added, 2 removed, 1 unchanged" in text and "handled as relevant" in text and site().relevant in text, text)


def test_another_rule_is_all_added_and_scope_narrows():
    rules = write("new.json", below(70, id="test.other"))
    base.equal(shown(run(rules)["added"]), [("P-1", 3), ("P-1", 5), ("P-2", 4)], "a rule beside the stored ones")
    base.equal(shown(run(rules, "--patients", "P-2,P-4")["added"]), [("P-2", 4)])
    run(rules, "--line", "another-line", expect=66)


def test_a_longer_breach_is_changed_and_counts_once():
    answer = run(write("later.json", [dict(below(70), count=2)]))
    base.equal((answer["added"], answer["removed"]), ([], []))
    base.equal([e["changed"] for e in answer["unchanged"]], [True] * 3, "raised at the second reading")


def test_parallel_and_serial_agree():
    rules = write("laxer.json", [below(65)])
    serial, parallel = run(rules, "--jobs", "1"), run(rules, "--jobs", "4")
    for answer in (serial, parallel):
        del answer["seconds"]
    base.equal(serial, parallel)
    base.equal(serial["readings"], 4 * 6 * 4, "readings")


def test_what_is_refused():
    run(write("broken.json", [dict(below(70), kind="other")]), expect=65)
    run(write("empty.json", []), expect=65)
    base.equal(site().node.ctl("backtest", "--rules", "x", "--from", "2026-01-01", expect=None)[0], 64)
    base.equal(site().node.ctl("backtest", "--rules", "/nowhere", "--from", FROM, "--to", TO, expect=None)[0], 66)
    errors = run(write("sides.json", [dict(below(70), levels=[{"priority": "low", "below": 70}])]), expect=0)
    base.check(errors["removed"] == [], "no side above: the low ones stay")


def test_an_interrupt_ends_it():
    """A lock on the readings holds it up."""
    holder = site().cluster.session("vigie")
    holder.cursor().execute("LOCK TABLE vigie.reading IN ACCESS EXCLUSIVE MODE")
    child = subprocess.Popen([vigied.CTL, "--config", site().node.config, "backtest", "--rules", write("s.json", [below(70)]),
                              "--from", FROM, "--to", TO], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        base.wait_for("it waits", lambda: site().cluster.query(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'vigiectl' AND wait_event_type = 'Lock'"))
        child.send_signal(signal.SIGINT)
        output, errors = child.communicate(timeout=10)
        base.equal((child.returncode, output), (75, b""), errors)
        base.check(b"an interrupt" in errors, errors)
    finally:
        child.kill()
        holder.close()
