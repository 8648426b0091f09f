"""Cases of RULES.md worked out by hand and driven from outside under a held clock: names, lives, pages of episodes."""
import functools
import hashlib

from tests.harness import base, check, site as sites
from tests.oracle import oracle

TOKEN = "token-of-sys-a"
HOUR, DAY, MINUTE = oracle.HOUR, oracle.DAY, 60000
START = check.to_ms("2026-12-01T00:00:00Z")
WEIGHT, GLUCOSE = ("29463-7", "kg"), ("2339-0", "mg/dL")


@functools.lru_cache(None)
def site():
    place = sites.Site("rules-cases", settings={"node": {"test_clock": check.to_text(START)}})
    place.node.import_rows(sites.organization_rows() + [sites.rule_row(sites.SILENCE),
                                                        sites.system_row("sys-a", TOKEN)])
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def now():
    return check.to_ms(site().node.clock()["now"])


def advance(duration):
    site().node.clock({"advance": duration})


def enrol(ref, *rules, **more):
    rows = sites.patient_rows(ref, device=False, rules=rules)
    del rows[0]["enrolled_at"]
    rows[0].update(more)
    site().node.import_rows(rows)
    return ref


def send(patient, *readings, **more):
    """A reading: (kind, value, time) or with more members."""
    items = [dict({"code": kind[0], "unit": kind[1], "value": value, "time": check.to_text(at)},
                  **(rest[0] if rest else {})) for kind, value, at, *rest in readings]
    answer = site().node.http(TOKEN).readings(sites.message(patient, check.to_text(now()), *items, **more))
    base.equal(answer.status, 200, answer)
    return answer.json()


def events(patient, rule=None):
    site().node.wait_drained("postgres")
    rows = site().cluster.query("SELECT payload FROM vigie.alert_event ORDER BY shard, position, decided_at, sequence",
                                database="vigie")
    return [row[0] for row in rows if row[0]["patient"] == patient and (rule is None or row[0]["rule"]["id"] == rule)]


def told(patient, rule=None):
    return [(event["event"], event["side"], event["priority"], event["retrospective"], event["reason"])
            for event in events(patient, rule)]


def uuid_of(*fields):
    digest = bytearray(hashlib.sha256(b"".join(str(field).encode() + b"\x1f" for field in fields)).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0f | 0x80, digest[8] & 0x3f | 0x80
    text = digest.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def limit(name, **more):
    return dict(sites.GLUCOSE, id=name, hysteresis=0, **more)


def change(name, **more):
    return dict(sites.WEIGHT, id=name, **more)


def test_names_are_those_of_the_formula():
    enrol("A", limit("a.l", count=2), change("a.c"))
    at = now() - HOUR
    send("A", (GLUCOSE, 60, at, {"sensor": "s1"}), (GLUCOSE, 50, at + 1000), device="dv")
    send("A", (WEIGHT, 70, at), (WEIGHT, 72.000001, at + 1000))
    base.equal(told("A", "a.c"), [], "a difference must exceed its limit by more than one millionth")
    send("A", (WEIGHT, 72.000002, at + 2000))
    by_limit, by_change = events("A", "a.l"), events("A", "a.c")
    base.equal([len(by_limit), len(by_change)], [1, 1])
    base.equal(by_limit[0]["episode_id"], uuid_of("a.l", "low", "A", "reading", "A", "glucose-blood", "dv", "s1", at, 0),
               "the first reading that breaches any level")
    base.equal(by_limit[0]["event_id"], uuid_of(by_limit[0]["episode_id"], 1))
    base.equal([reading["value"] for reading in by_limit[0]["readings"]], [60, 50], "the run")
    base.equal(by_limit[0]["readings_in_breach"], 2)
    base.equal(by_change[0]["episode_id"],
               uuid_of("a.c", "high", "A", "reading", "A", "body-weight", "sys-a", "", at + 2000, 0))
    base.equal([reading["value"] for reading in by_change[0]["readings"]], [70, 72.000002], "the extreme and r")
    base.equal((by_change[0]["value"], by_change[0]["measured_at"]), (72.000002, check.to_text(at + 2000)))


def test_silence_is_active_from_enrolment():
    advance("10d")
    at = now()
    enrol("B", dict(sites.SILENCE, max_gap="36h"))  # of the patient: reaches back, but not before enrolment
    advance("35h")
    base.equal(told("B"), [])
    advance("2h")
    found = events("B", "test.silence")
    base.equal([(event["event"], check.to_ms(event["raised_at"])) for event in found], [("raised", at + 36 * HOUR)])
    base.equal(found[0]["episode_id"], uuid_of("test.silence", "", "B", "last_seen", at, 0))
    base.check(1 <= check.to_ms(found[0]["decided_at"]) - check.to_ms(found[0]["raised_at"]) <= 1000, found)


def test_a_fresh_breach_makes_an_old_episode_live():
    enrol("C", limit("c.l"))
    send("C", (GLUCOSE, 60, now() - 5 * DAY))
    send("C", (GLUCOSE, 61, now() - MINUTE))
    base.equal(told("C"), [("raised", "low", "medium", True, None), ("live", "low", "medium", False, None)])
    base.equal((events("C")[1]["value"], events("C")[1]["readings_in_breach"]), (61, 2))


def test_episodes_merge_and_part():
    enrol("D", limit("d.l"))
    at = now() - 3 * HOUR
    for minutes, value in ((0, 60), (10, 100), (20, 50)):
        send("D", (GLUCOSE, value, at + minutes * MINUTE))
    first, _, second = events("D")
    send("D", (GLUCOSE, 100, at + 10 * MINUTE, {"status": "void"}))
    merged = events("D")[3:]
    base.equal([(event["event"], event["reason"], event["into"], event["state"], event["retrospective"])
                for event in merged],
               [("cancelled", "merged", first["episode_id"], "cancelled", True),
                ("amended", "reopened", None, "open", True)], "what is merged pages no more")
    send("D", (GLUCOSE, 100, at + 12 * MINUTE))
    parted = events("D")[5:]
    base.equal([(event["episode_id"], event["event"], event["sequence"], event["reason"]) for event in parted],
               [(first["episode_id"], "amended", 4, "late-data"), (first["episode_id"], "cleared", 5, None),
                (second["episode_id"], "raised", 3, "reinstated")])
    base.equal(parted[1]["cleared_at"], check.to_text(at + 12 * MINUTE))


def test_values_of_one_instant():
    enrol("E", limit("e.l", count=2))
    at = now() - HOUR
    answer = send("E", (GLUCOSE, 60, at), (GLUCOSE, 100, at), (GLUCOSE, 60, at))
    base.equal((answer["accepted"], answer["duplicate"]), (2, 1))
    base.equal(told("E"), [], "two values of a key count once")
    send("E", (GLUCOSE, 90, at + MINUTE), (GLUCOSE, 60, at + MINUTE))
    base.equal([(event["raised_at"], event["value"]) for event in events("E")], [(check.to_text(at + MINUTE), 60)],
               "an instant breaches if any of its values does")
    send("E", (GLUCOSE, 90, at + 2 * MINUTE))
    base.equal(told("E")[1:], [("cleared", "low", "medium", False, None)])


def test_an_escalation_asks_for_acknowledgement_again():
    enrol("I", limit("i.l"))
    send("I", (GLUCOSE, 60, now() - HOUR))
    episode = events("I")[0]["episode_id"]

    def acknowledged():
        site().node.wait_drained("postgres")
        return site().cluster.query("SELECT acknowledged_at IS NOT NULL FROM vigie.alert WHERE episode_id = %s",
                                    (episode,), "vigie")[0][0]

    site().node.ctl("alert", "ack", episode, "--author", "Dr A")
    base.check(acknowledged(), "acknowledged")
    send("I", (GLUCOSE, 50, now() - MINUTE))
    base.check(not acknowledged(), "asked again")
    send("I", (GLUCOSE, 100, now()))
    send("I", (GLUCOSE, 100, now(), {"status": "void"}))
    base.equal([event["event"] for event in events("I")],
               ["raised", "acknowledged", "escalated", "cleared", "amended", "live"], "reopened in danger")


def test_quarantine_is_told_with_the_time_of_its_reading():
    enrol("Q", change("q.c"))
    at = now()
    send("Q", (WEIGHT, 900, at - HOUR))
    advance("25h")
    found = events("Q", "technical.quarantine")
    base.equal([(event["event"], event["priority"], event["raised_at"], event["cleared_at"]) for event in found],
               [("raised", "medium", check.to_text(at), None),
                ("cleared", "medium", check.to_text(at), check.to_text(at + DAY))])
    base.equal((found[0]["value"], found[0]["measured_at"]), (900, check.to_text(at - HOUR)))
