"""The wall clock jumps under a running daemon: nothing is raised by it, no reading is unjudged, and an operator has
the last word. The machine's clock is not touched: tests/harness/wallclock.c is preloaded and moves CLOCK_REALTIME."""
import functools
import json
import os
import struct
import subprocess
import time

from tests.harness import base, check, site as sites
from tests.harness.site import message

PLAIN_ONLY = "sanitizers must be preloaded first"
TOKEN = "token-of-sys-a"
SECOND, HOUR, DAY = 1000, 3600000, 86400000
YEARS = 3650 * DAY
GAP = dict(sites.SILENCE, max_gap="1h", missed_days=1)
LATE_UNJUDGED = 4  # bit of reading.flags


class Moved:
    """Starts vigied under a wall clock of ours."""

    def __init__(self, node):
        self.library = os.path.join(base.BUILD, "wallclock.so")
        subprocess.run([os.environ.get("CC", "cc"), "-D_GNU_SOURCE", "-O1", "-shared", "-fPIC", "-o", self.library,
                        os.path.join(base.ROOT, "tests", "harness", "wallclock.c"), "-ldl"], check=True)
        self.file = os.path.join(node.directory, "wallclock")
        self.set(0)
        node.environment = {"LD_PRELOAD": self.library, "WALLCLOCK_FILE": self.file,
                            "VIGIE_BOOT_ID": "of-this-test"}

    def set(self, offset_ms):
        with open(self.file, "r+b" if os.path.exists(self.file) else "wb") as file:
            file.write(struct.pack("=q", offset_ms))


@functools.lru_cache(None)
def site():
    place = sites.Site("clock-jump", start=False)
    place.wall = Moved(place.node)
    place.node.start()
    rows = sites.organization_rows() + [sites.rule_row(GAP)]
    for ref in ("P-1", "P-2"):
        row = sites.patient_rows(ref, device=False)[0]
        del row["enrolled_at"]
        rows.append(row)
    rows.append(sites.rule_row(dict(GAP, max_gap="9s"), patient="P-2"))
    place.node.import_rows(rows + [sites.system_row("sys-a", TOKEN)])
    place.sent = 0
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def now_ms():
    return int(time.time() * 1000)


def clock():
    control = site().node.control()
    answer = control.get("/v1/clock").json()
    control.close()
    return answer


def send(at, result, patient="P-1"):
    """A new reading at `at`, over TLS."""
    site().sent += 1
    answer = site().node.https(TOKEN).readings(message(patient, check.to_text(at), (
        "29463-7", 70 + site().sent / 10, "kg"))).json()
    base.equal(answer[result], 1, answer)


def payloads(rule):
    site().node.wait_drained("postgres")
    rows = site().cluster.query("SELECT payload FROM vigie.alert_event ORDER BY shard, position", database="vigie")
    return [row[0] for row in rows if row[0]["rule"]["id"] == rule]


def told(rule):
    return [event["event"] for event in payloads(rule)]


def silences(patient):
    return [event for event in payloads("test.silence") if event["patient"] == patient]


def wait_for_jump(count):
    """The alert is there, and engine time has gone on by the true time."""
    base.wait_for("the jump is told", lambda: told("technical.clock-jump").count("raised") == count, 10)
    seen = clock()
    base.equal(seen["state"], "jump", seen)
    base.check(abs(check.to_ms(seen["now"]) - now_ms()) < 5 * SECOND, "engine time is the true one", seen)


def readings_are_judged(offset_ms):
    """True times are readings like any other; times of the clock that jumped are what is wrong."""
    before = site().cluster.query("SELECT count(*) FROM vigie.reading WHERE flags & %d <> 0" % LATE_UNJUDGED, database="vigie")
    send(now_ms() - SECOND, "accepted")
    if offset_ms > 0:
        send(now_ms() + offset_ms, "quarantined")
    base.equal(told("technical.late-readings"), [], "unjudged")
    base.equal(site().cluster.query("SELECT count(*) FROM vigie.reading WHERE flags & %d <> 0" % LATE_UNJUDGED, database="vigie"), before)
    last = site().cluster.query("SELECT max(received_at) FROM vigie.reading", database="vigie")[0][0]
    base.check(abs(check.to_ms(last) - now_ms()) < 10 * SECOND, "received at the true time", last)


def test_a_jump_by_a_day_raises_nothing_and_unjudges_nothing():
    base.equal(clock()["state"], "following")
    send(now_ms() - SECOND, "accepted")
    send(now_ms() - SECOND, "accepted", "P-2")
    site().wall.set(DAY)
    wait_for_jump(1)
    readings_are_judged(DAY)
    base.equal(silences("P-1"), [], "silence")
    status, output, _ = site().node.ctl("clock", "status", expect=None)
    base.equal(status, 75, output)
    event = payloads("technical.clock-jump")[0]
    base.equal((event["priority"], event["patient"], event["class"]), ("high", None, "technical"), event)
    base.check("86400 s ahead" in event["note"] or "86399 s ahead" in event["note"], event)


def test_silence_is_still_raised_by_up_time():
    base.wait_for("the silence of P-2", lambda: [e["event"] for e in silences("P-2")] == ["raised"], 15)
    event = silences("P-2")[0]
    last = site().cluster.query("SELECT max(r.received_at) FROM vigie.reading r JOIN vigie.patient p USING (patient_id)"
                                " WHERE p.ref = 'P-2'", database="vigie")[0][0]
    base.equal(check.to_ms(event["raised_at"]), check.to_ms(last) + 9 * SECOND)
    base.check(1 <= check.to_ms(event["decided_at"]) - check.to_ms(event["raised_at"]) <= SECOND, event)


def test_a_restart_does_not_make_a_bad_clock_a_good_one():
    time.sleep(1.2)
    site().node.kill()
    site().node.start()
    seen = base.wait_for("the jump is seen", lambda: clock()["state"] == "jump" and clock(), 5)
    base.check(abs(check.to_ms(seen["now"]) - now_ms()) < 5 * SECOND, seen)
    readings_are_judged(DAY)
    base.equal(told("technical.clock-jump"), ["raised"], "one episode, told once")


def test_ten_years_and_backwards():
    for offset_ms in (YEARS, -DAY, -YEARS):
        site().wall.set(offset_ms)
        time.sleep(2.2)
        wait_for_jump(1)
        readings_are_judged(offset_ms)
    site().node.kill()
    site().node.start()
    readings_are_judged(-YEARS)
    site().wall.set(0)
    base.wait_for("it is over", lambda: told("technical.clock-jump") == ["raised", "cleared"], 10)
    base.equal(clock()["state"], "following")
    base.equal(silences("P-1"), [], "silence")


def test_an_operator_confirms_a_clock_ahead():
    base.equal(site().node.ctl("clock", "accept", expect=None)[0], 65, "nothing to confirm")
    nurse = site().node.ctl("token", "issue", "--admin", "nurse").split()[-1]
    site().wall.set(DAY)
    wait_for_jump(2)
    base.equal(site().node.admin(nurse).post("/v1/clock/accept", {}).status, 403)
    before = len(silences("P-2"))
    site().node.ctl("clock", "accept", "--author", "Op A")
    seen = clock()
    base.equal(seen["state"], "following", seen)
    base.check(abs(check.to_ms(seen["now"]) - now_ms() - DAY) < 5 * SECOND, seen)
    last = payloads("technical.clock-jump")[-1]
    base.equal((last["event"], last["reason"], last["author"]), ("cleared", "accepted", "Op A"), last)
    outage = payloads("technical.own-outage")[-1]
    length = check.to_ms(outage["cleared_at"]) - check.to_ms(outage["raised_at"])
    base.check(abs(length - DAY) < 10 * SECOND, "the time skipped is an outage of ours", outage)
    time.sleep(1.5)
    base.equal(silences("P-1"), [], "a day skipped is no day of silence")
    base.equal(len(silences("P-2")), before, "none that was not due")
    site().node.kill()
    site().node.start()
    base.equal(clock()["state"], "following")
    base.equal(silences("P-1"), [], "silence after a replay")
    send(now_ms() + DAY - SECOND, "accepted")


def test_a_clock_behind_is_approached_at_half_speed():
    site().wall.set(0)
    base.wait_for("a jump", lambda: clock()["state"] == "jump", 5)
    time.sleep(1.2)
    site().node.ctl("clock", "accept")
    base.equal(clock()["state"], "catching-up")
    first, began = check.to_ms(clock()["now"]), time.monotonic()
    time.sleep(3)
    gained, passed = check.to_ms(clock()["now"]) - first, (time.monotonic() - began) * 1000
    base.check(0.3 * passed < gained < 0.75 * passed, "half speed", gained, passed)
    base.equal(json.loads(site().node.ctl("clock", "status", "--json"))["state"], "catching-up")
    base.equal(silences("P-1"), [], "silence")
