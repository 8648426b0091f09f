"""Silence, driven by the test clock from outside, to the millisecond."""
import functools

from tests.harness import base, check, jsonschema, site as sites
from tests.harness.site import message
from tests.oracle import oracle

TOKEN = "token-of-sys-a"
START = check.to_ms("2026-12-01T00:00:00Z")
HOUR = oracle.HOUR
SILENCE = dict(sites.SILENCE, max_gap="36h")


@functools.lru_cache(None)
def site():
    place = sites.Site("silence-clock", settings={"node": {"test_clock": "2026-12-01T00:00:00Z"}})
    rows = sites.organization_rows() + [sites.rule_row(SILENCE)]
    for ref in ("P-1", "P-2", "P-3"):
        row = sites.patient_rows(ref, device=False)[0]
        del row["enrolled_at"]
        rows.append(row)
    place.node.import_rows(rows + [sites.system_row("sys-a", TOKEN)])
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def events(patient):
    """Of silence, as PostgreSQL has them."""
    site().node.wait_drained("postgres")
    rows = site().cluster.query("SELECT payload FROM vigie.alert_event ORDER BY decided_at, sequence", database="vigie")
    found = [row[0] for row in rows if row[0]["patient"] == patient and row[0]["class"] == "silence"]
    for event in found:
        base.equal(jsonschema.errors(event, check.schema()), [], "schema")
    return [(event["event"], check.to_ms(event["raised_at"]),
             None if event["cleared_at"] is None else check.to_ms(event["cleared_at"])) for event in found]


def enrolled(patient):
    rows = site().cluster.query("SELECT enrolled_at FROM vigie.patient WHERE ref = %s", (patient,), "vigie")
    return check.to_ms(rows[0][0])


def clock_now():
    return check.to_ms(site().node.clock()["now"])


def send(patient, measured):
    answer = site().node.https(TOKEN).readings(message(patient, check.to_text(measured), ("29463-7", 70, "kg")))
    base.equal((answer.status, answer.json()["accepted"]), (200, 1), answer)


def test_the_clock_is_held_and_moves_as_told():
    answer = site().node.clock()
    base.equal(answer["running"], False, answer)
    base.check(START <= clock_now() < START + 1000, answer)
    base.equal(clock_now(), clock_now(), "held")
    answer = site().node.clock({"set": "2026-12-01T01:00:00Z"})
    base.equal(answer, {"now": "2026-12-01T01:00:00.000Z", "running": False})
    control = site().node.control()
    base.check(control.post("/v1/test/clock", {"set": "2026-11-30T00:00:00Z"}).status >= 400, "never backwards")
    base.equal(site().node.admin().get("/v1/test/clock").status, 401, "asks for a token")


def test_silence_is_raised_at_its_instant_and_cleared_by_a_reading():
    due = enrolled("P-1") + 36 * HOUR
    site().node.clock({"set": check.to_text(due)})
    base.equal(events("P-1"), [], "due at this very time waits for a later turn")
    site().node.clock({"advance": "1ms"})
    base.equal(events("P-1"), [("raised", due, None)])
    site().node.clock({"advance": "5h"})
    base.equal(len(events("P-1")), 1, "once")
    at = clock_now()
    send("P-1", at - 60000)
    base.equal(events("P-1")[1:], [("cleared", due, at)])
    rows = site().cluster.query("SELECT payload FROM vigie.alert_event", database="vigie")
    for payload, in rows:
        if payload["event"] == "raised" and payload["class"] == "silence":
            late = check.to_ms(payload["decided_at"]) - check.to_ms(payload["raised_at"])
            base.check(1 <= late <= 1000, "decided 1 ms to 1 s after it was due:", late)
            base.equal(payload["retrospective"], False, "silence is live")


def test_a_restart_holds_the_clock_and_loses_no_timer():
    before = clock_now()
    site().node.settings["node"].pop("test_clock")
    site().node.write_config()
    site().node.restart()
    base.check(before <= clock_now() <= before + 1000, "goes on where the journal ended, held", before, clock_now())
    base.equal(site().node.clock()["running"], False)
    site().node.kill()
    site().node.start()
    base.equal(len(events("P-1")), 2, "nothing raised by a restart")
    last = [at for _, _, at in events("P-1")][1]
    site().node.clock({"set": check.to_text(last + 36 * HOUR + 1000)})
    raised = events("P-1")[2:]
    base.equal([event[0] for event in raised], ["raised"])
    base.check(0 <= raised[0][1] - (last + 36 * HOUR) <= 1000, "up time, without the moments of the restarts", raised)


def test_an_outage_of_ours_does_not_count():
    now = clock_now()
    send("P-2", now)
    base.equal(events("P-2")[-1][0], "cleared")
    site().node.stop()
    site().node.settings["node"]["test_clock"] = check.to_text(now + 100 * HOUR)
    site().node.write_config()
    site().node.start()
    site().node.clock({"advance": "35h"})
    base.equal(events("P-2")[-1][0], "cleared", "100 hours were ours, 35 are not enough")
    site().node.clock({"advance": "70m"})
    base.equal(events("P-2")[-1][0], "raised")
    rows = site().cluster.query("SELECT payload FROM vigie.alert_event WHERE payload->>'class' = 'technical'",
                                database="vigie")
    base.check(any(row[0]["patient"] is None for row in rows), "the outage is a technical alert of its own", rows)


def test_a_suspension_does_not_count():
    now = clock_now()
    send("P-3", now)
    site().node.import_rows([{"type": "suspension", "patient": "P-3", "rule": "test.silence",
                              "from": check.to_text(now + HOUR), "until": check.to_text(now + 49 * HOUR),
                              "author": "Nurse B", "reason": "hospital stay"}])
    site().node.clock({"advance": "83h"})
    base.equal(events("P-3")[-1][0], "cleared", "83 h, of them 48 suspended")
    site().node.clock({"advance": "2h"})
    base.equal(events("P-3")[-1][:2], ("raised", now + 84 * HOUR))


def test_silence_cannot_be_disabled():
    status, _, errors = site().node.ctl("import", write([sites.rule_row(dict(SILENCE, enabled=False))]), expect=None)
    base.equal(status, 65, errors)


def write(rows):
    import json
    import os
    path = os.path.join(site().node.directory, "refused.ndjson")
    with open(path, "w") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_clock_runs_on_when_told():
    before = clock_now()
    base.equal(site().node.clock({"run": True})["running"], True)
    base.wait_for("the clock runs", lambda: clock_now() > before, 5)
