"""vigiectl explain: every episode that was published follows, byte for byte, from what PostgreSQL holds: late and
corrected data, merges, commands, restarts, every kind of rule. And it can say no: a reading that was tampered with."""
import functools
import json
import random

from tests.harness import base, check, site as sites
from tests.harness.site import message

TOKEN = "token-of-sys-a"
START = check.to_ms("2026-12-01T00:00:00Z")
MINUTE, HOUR, DAY = 60000, 3600000, 86400000


def rule(name, kind, parameter="body-weight", unit="kg", **more):
    return dict({"id": "x." + name, "line": sites.LINE, "kind": kind, "parameter": parameter, "unit": unit,
                 "text": {"fr": name, "en": name}, "source": "test", "tag": "TEST"}, **more)


RULES = [
    dict(sites.SILENCE, max_gap="36h"), sites.GLUCOSE, sites.WEIGHT,
    rule("occurrences", "occurrences", "glucose-blood", "mg/dL", below=70, rearm=2, times=2, within="24h", priority="high"),
    rule("reference", "reference", reference="dry-weight", rise=1.5, priority="low"),
    {"id": "x.event", "line": sites.LINE, "kind": "event", "classes": {"lead": "high", "*": "low"},
     "text": {"fr": "Alarme", "en": "Alarm"}, "source": "test", "tag": "TEST"},
    rule("daily", "daily", statistic="mean", above=71, days=1, grace="1h", priority="low"),
    rule("variation", "variation", statistic="max", rise=1, priority="low"),
    rule("baseline", "baseline", statistic="median", rise=0.5, over=3, min_days=1, priority="low"),
    rule("rate", "rate", "heart-rate", "/min", rise_per=2, within="30m", readings=3, priority="medium"),
]


@functools.lru_cache(None)
def site():
    place = sites.Site("explain", settings={"node": {"test_clock": check.to_text(START)}})
    rows = sites.organization_rows() + [sites.rule_row(one) for one in RULES]
    for ref in ("P-1", "P-2", "P-3", "R-1", "R-2"):
        rows += sites.patient_rows(ref, device=False)
    rows.append({"type": "reference", "patient": "P-1", "parameter": "body-weight", "name": "dry-weight", "value": 70,
                 "unit": "kg", "from": "2026-11-01T00:00:00Z", "author": "Dr Test"})
    # a rule that waits for a physician, for one of them until there is one
    rows.append(sites.rule_row(rule("waits", "limit", "heart-rate", "/min", requires_validation=True,
                                    levels=[{"priority": "low", "above": 190}])))
    place.node.import_rows(rows + [sites.system_row("sys-a", TOKEN)])
    place.node.import_rows([{"type": "confirmation", "patient": "P-3", "line": sites.LINE, "author": "Dr Test",
                             "role": "physician", "from": check.to_text(START)}])
    live(place)
    live_at_random(place, 5)
    place.node.wait_drained("postgres")
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def reading(code, value, at, **more):
    unit = {"glucose-blood": "mg/dL", "body-weight": "kg", "heart-rate": "/min"}[code]
    return dict({"code": code, "value": value, "unit": unit, "time": check.to_text(at)}, **more)


def send(place, patient, *readings):
    answer = place.node.https(TOKEN).readings(message(patient, readings[0]["time"], *readings))
    base.equal(answer.status, 200, answer)
    return answer.json()


def live(place):
    """Five days of three patients."""
    node = place.node
    t = START + DAY
    node.clock({"set": check.to_text(t)})
    for hour, glucose, weight in ((0, 100, 70), (6, 60, 70.5), (12, 50, 72.5), (18, 90, 73), (30, 65, 71), (32, 90, 70)):
        node.clock({"set": check.to_text(t + hour * HOUR)})
        at = t + hour * HOUR - 5 * MINUTE
        send(place, "P-1", reading("glucose-blood", glucose, at), reading("body-weight", weight, at))
    for phase, minutes in (("start", 20), ("end", 10)):
        event = {"class": "lead", "episode": "7", "phase": phase, "time": check.to_text(t + 32 * HOUR - minutes * MINUTE)}
        answer = node.https(TOKEN).readings({"patient": "P-1", "events": [event]})
        base.equal(answer.status, 200, answer)
    # a rise within minutes; what joins two episodes comes late, and what splits them again is a correction
    t += 33 * HOUR
    node.clock({"set": check.to_text(t)})
    send(place, "P-1", *[reading("heart-rate", 70 + 5 * i, t - 25 * MINUTE + 2 * i * MINUTE) for i in range(9)])
    send(place, "P-2", *[reading("glucose-blood", v, t - (9 - i) * HOUR) for i, v in ((0, 60), (2, 100), (4, 60), (6, 100))])
    send(place, "P-2", dict(reading("glucose-blood", 61, t - 7 * HOUR, status="corrected"), issued=check.to_text(t)))
    node.restart()
    node.clock({"advance": "1m"})
    send(place, "P-2", dict(reading("glucose-blood", 101, t - 7 * HOUR, status="corrected"), issued=check.to_text(t + 1)))
    send(place, "P-2", dict(reading("glucose-blood", 60, t - 5 * HOUR, status="void"), issued=check.to_text(t + 2)))
    # what the engine keeps aside, and what is too old to be judged
    send(place, "P-2", reading("body-weight", -1, t - MINUTE), reading("body-weight", 80, t - 40 * DAY))
    send(place, "P-2", reading("glucose-blood", 45, t - MINUTE))
    node.import_rows([sites.rule_row(dict(sites.GLUCOSE, levels=[{"priority": "high", "below": 80}, {"priority": "low", "above": 300}]),
                                     patient="P-2",
                                     valid_from=check.to_text(t - DAY)),
                      {"type": "suspension", "patient": "P-3", "rule": "test.silence", "from": check.to_text(t + 2 * HOUR),
                       "until": check.to_text(t + 8 * HOUR), "author": "Nurse B", "reason": "hospital stay"}])
    node.wait_drained("postgres")
    open_ones = place.cluster.query("SELECT episode_id::text FROM vigie.alert a JOIN vigie.patient p USING (patient_id)"
                                    " WHERE state = 'open' AND ref = 'P-2' AND class = 'clinical'", database="vigie")
    base.check(open_ones, "an open episode to acknowledge")
    node.ctl("alert", "ack", open_ones[0][0], "--author", "Dr Test", "--note", "seen")
    node.ctl("alert", "shelve", open_ones[0][0], "--until", check.to_text(t + DAY), "--reason", "seen at home")
    node.ctl("alert", "handle", open_ones[0][0], "--author", "Dr Test", "--outcome", "relevant")
    node.stop()
    node.settings["node"]["test_clock"] = check.to_text(t + HOUR)  # an outage of an hour
    node.write_config()
    node.start()
    for hours in (4, 5, 24, 24):
        node.clock({"advance": "%dh" % hours})
    now = check.to_ms(node.clock()["now"])
    send(place, "P-3", reading("body-weight", 70, now - MINUTE))
    node.import_rows([{"type": "left", "patient": "P-2", "at": check.to_text(now), "reason": "moved"}])
    node.clock({"advance": "2h"})


def live_at_random(place, seed):
    """Twenty days of two patients: uploads of several readings, late ones, resends, corrections and voids of what was
    sent, versions of rules, restarts."""
    draw, node, sent = random.Random(seed), place.node, []
    steps = {"glucose-blood": (40, 110), "body-weight": (68, 76), "heart-rate": (60, 140)}
    for step in range(240):
        node.clock({"advance": "%dm" % draw.choice((1, 17, 95, 240))})
        now = check.to_ms(node.clock()["now"])
        patient, readings = draw.choice(("R-1", "R-2")), []
        for _ in range(draw.randint(1, 4)):
            code = draw.choice(sorted(steps))
            late = draw.choice((1, 3, 20, 300, 3000, 30 * 1440)) * MINUTE
            readings.append(reading(code, draw.randint(*steps[code]), now - late - draw.randint(0, 5) * MINUTE))
        if sent and draw.random() < 0.3:
            again_of, again = draw.choice(sent)
            status = draw.choice((None, "corrected", "corrected", "void"))
            if status:
                again = dict(again, status=status, issued=check.to_text(now), value=again["value"] + draw.choice((0, -15)))
            send(place, again_of, again)
        send(place, patient, *readings)
        sent += [(patient, one) for one in readings]
        if step % 60 == 30:
            node.import_rows([sites.rule_row(dict(sites.WEIGHT, rise=draw.choice((1, 3))), patient="R-2",
                                             valid_from=check.to_text(now - draw.randint(0, 3) * DAY))])
        if step % 100 == 99:
            node.restart()


def stored():
    """episode → [payload bytes in order of sequence]"""
    rows = site().cluster.query("SELECT episode_id::text, payload::text FROM vigie.alert_event"
                                " ORDER BY episode_id, sequence", database="vigie")
    found = {}
    for episode, payload in rows:
        found.setdefault(episode, []).append(payload)
    return found


def hypoglycaemia():
    """The first of P-1: it begins at 60 mg/dL."""
    for episode, payloads in stored().items():
        first = json.loads(payloads[0])
        if (first["patient"], first["rule"]["id"], first["value"]) == ("P-1", "test.glucose", 60):
            return episode, payloads
    raise base.Failure("no such episode")


def explain(episode, *more):
    return site().node.ctl("explain", episode, *more, expect=None)


def check_equal(episode, payloads):
    status, output, errors = explain(episode, "--json")
    answer = json.loads(output)
    base.equal((status, answer["equal"], answer["differences"]), (0, True, []), "verdict on", payloads[0], errors)
    base.equal(answer["episode_id"], episode)
    base.check('"events":[%s]' % ",".join(payloads) in output, "the bytes of every event:", output)
    return answer


def test_every_episode_is_decided_again_to_the_byte():
    kinds, reasons, events = set(), set(), set()
    for episode, payloads in stored().items():
        check_equal(episode, payloads)
        for payload in map(json.loads, payloads):
            kinds.add((payload["rule"]["kind"], payload["rule"]["id"] if payload["class"] == "technical" else ""))
            reasons.add(payload["reason"])
            events.add(payload["event"])
    wanted = {(kind, "") for kind in ("limit", "change", "occurrences", "reference", "rate", "silence", "event",
                                         "daily", "variation", "baseline")}
    wanted |= {("technical", "technical." + name) for name in ("quarantine", "late-readings", "own-outage",
                                                             "rules-unconfirmed")}
    base.check(wanted <= kinds, "kinds that were met:", kinds)
    base.check({"merged", "corrected", "left"} <= reasons, "reasons that were met:", reasons)
    base.check({"raised", "escalated", "cleared", "amended", "cancelled", "closed", "acknowledged", "handled", "shelved",
                "unshelved"} <= events, events)
    base.check(len(stored()) > 100, "episodes:", len(stored()))


def test_steps_name_what_each_reading_decided():
    episode, payloads = hypoglycaemia()
    answer = check_equal(episode, payloads)
    base.equal([(s["value"], s["breach"], s["run"], s["decided"]) for s in answer["steps"][:4]],
               [(100, False, 0, None), (60, True, 1, "raised"), (50, True, 2, "escalated"), (90, False, 0, "cleared")])
    base.equal([(s["layer"], s["version"], s["late"], s["status"]) for s in answer["steps"][:1]], [("line", 1, False, "final")])
    text = ""
    for other, payloads in stored().items():
        first = json.loads(payloads[0])
        kind = first["rule"]["kind"]
        if kind == "occurrences" or (first["patient"] == "P-1" and kind in ("change", "reference", "rate")):
            text += explain(other, "--lang", "fr")[1]
    wanted = ("72,5 kg  72,5 − 70 = 2,5 > 2,0  dépassement", "71 − 70 = 1 ≤ 2,0  pas",
              "référence, 72,5 − 70 = 2,5 > 1,5", "par minute : 2,5 > 2", "2 sur 2  dépassement")
    base.equal([shown for shown in wanted if shown not in text], [], "is not shown")
    status, french, _ = explain(episode, "--lang", "fr")
    base.equal(status, 0)
    for text in ("recalculé : identique à ce qui a été publié", "Dr Test", "Glycémie", "au-dessous de 70",
                 "02/12/2026 06:55:00  60 mg/dL", "dépassement, 2 de suite", "Europe/Paris"):
        base.check(text in french, text, "in", french)
    status, english, _ = explain(episode, "--lang", "en")
    base.check("recomputed: identical to what was published" in english and "2026-12-02 06:55:00" in english, english)


def test_late_and_corrected_readings_are_named():
    text = ""
    for episode, payloads in stored().items():
        first = json.loads(payloads[0])
        if (first["patient"], first["rule"]["id"]) == ("P-2", "test.glucose"):
            text += explain(episode, "--lang", "fr")[1]
    base.check("[corrigée]" in text, text)
    base.check("reçue en retard, le" in text, text)


def test_unknown_episode_and_wrong_usage():
    status, _, errors = explain("00000000-0000-8000-8000-000000000000")
    base.equal(status, 66, errors)
    base.check("vigiectl alerts" in errors, errors)
    base.equal(explain("P-1")[0], 66, "what is no id is the id of no episode")
    base.equal(explain("00000000-0000-8000-8000-000000000000", "--lang", "de")[0], 64)


def test_what_was_tampered_with_is_seen():
    """Last: it changes the site. As the owner of the tables, which no login of Vigie's is."""
    episode, _ = hypoglycaemia()
    place = site()
    change = "UPDATE vigie.reading SET value = %s WHERE value = %s AND parameter_id = (SELECT parameter_id FROM" \
             " vigie.parameter WHERE name = 'glucose-blood')"
    place.cluster.query(change, (66000000, 60000000), "vigie")
    status, output, _ = explain(episode, "--json")
    answer = json.loads(output)
    base.equal((status, answer["equal"]), (1, False))
    base.check(answer["differences"], answer)
    status, text, _ = explain(episode, "--lang", "fr")
    base.equal(status, 1)
    base.check("DIFFÉRENT" in text, text)
    place.cluster.query(change, (60000000, 66000000), "vigie")
    base.equal(explain(episode)[0], 0, "put back")
    place.cluster.query("UPDATE vigie.journal_command SET payload = replace(payload::text, '\"below\":70', '\"below\":40')"
                        "::json WHERE command = 'rule'", database="vigie")
    base.equal(explain(episode)[0], 1, "another rule")
