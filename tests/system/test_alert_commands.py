"""What people do to an episode, from vigiectl to the topic and the row in PostgreSQL, across restarts and by the test
clock; and patients whom rules do not watch because no physician has confirmed them."""
import functools
import json

from tests.harness import base, check, consume, jsonschema, site as sites

TOKEN = "token-of-sys-a"
START = check.to_ms("2026-12-01T00:00:00Z")
MINUTE = 60000
HOUR = 60 * MINUTE
UNKNOWN = "00000000-0000-8000-8000-000000000000"
WAITING = dict(sites.WEIGHT, id="test.waiting", requires_validation=True)


@functools.lru_cache(None)
def site():
    place = sites.Site("alert-commands", broker=True, settings={"node": {"test_clock": check.to_text(START)}})
    rows = sites.organization_rows() + [sites.rule_row(sites.SILENCE), sites.system_row("sys-a", TOKEN)]
    for ref in ("P-1", "P-2", "P-3"):
        rows += sites.patient_rows(ref, device=False, rules=[sites.GLUCOSE])
    place.node.import_rows(rows)
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def now():
    return check.to_ms(site().node.clock()["now"])


def send(patient, value, ago=MINUTE, **more):
    reading = dict({"code": "2339-0", "value": value, "unit": "mg/dL"}, **more)
    answer = site().node.http(TOKEN).readings(sites.message(patient, check.to_text(now() - ago), reading))
    base.equal((answer.status, answer.json()["accepted"]), (200, 1), answer)


def alert(*arguments, expect=0):
    status, _, errors = site().node.ctl("alert", *arguments, expect=None)
    base.equal(status, expect, arguments, errors)
    if expect:
        base.equal(errors.count("\n"), 1, "one line", errors)


def row(episode):
    site().node.wait_drained("postgres")
    names = ("state", "acknowledged_by", "handled_by", "handled_outcome", "shelved_until", "last_sequence")
    found = site().cluster.query("SELECT %s FROM vigie.alert WHERE episode_id = %%s" % ", ".join(names), (episode,), "vigie")
    return dict(zip(names, found[0]))


def open_episode(patient, value=60):
    send(patient, value)
    site().node.wait_drained("postgres")
    listed = json.loads(site().node.ctl("alerts", "--open", "--patient", patient, "--json"))
    return [episode for episode in listed if episode["class"] == "clinical"][0]["episode_id"]


def published():
    """Without repeats: a node that was killed may publish an event again."""
    site().node.wait_drained("kafka", "postgres")
    return [record.json() for record in check.distinct_events(consume.by_confluent(site().broker.bootstrap))]


def told(episode):
    """Events of the episode on the topic, each as the schema says."""
    found = published()
    events = sorted((event for event in found if event["episode_id"] == episode), key=lambda event: event["sequence"])
    for event in events:
        base.equal(jsonschema.errors(event, check.schema()), [], "schema")
    base.equal([event["sequence"] for event in events], list(range(1, len(events) + 1)), "without holes")
    return events


def test_acknowledged_handled_and_cleared_are_three_things():
    episode = open_episode("P-1")
    alert("ack", episode, "--author", "Nurse B", "--note", "seen")
    alert("handle", episode, "--author", "Dr A", "--outcome", "not-relevant", "--note", "called")
    base.equal(row(episode), {"state": "open", "acknowledged_by": "Nurse B", "handled_by": "Dr A",
                              "handled_outcome": "not-relevant", "shelved_until": None, "last_sequence": 3})
    site().node.restart()
    alert("ack", episode, "--author", "Nurse C")
    alert("handle", episode, "--author", "Dr A", "--outcome", "not-relevant", "--note", "called")
    alert("handle", episode, "--author", "Dr B", "--outcome", "relevant")
    send("P-1", 50, ago=0)
    send("P-1", 100, ago=0, time=check.to_text(now() + 1))
    alert("handle", episode, "--author", "Dr C", "--outcome", "technical")
    events = told(episode)
    base.equal([(e["event"], e.get("author"), e.get("note"), e.get("outcome"), e["state"]) for e in events],
               [("raised", None, None, None, "open"), ("acknowledged", "Nurse B", "seen", None, "open"),
                ("handled", "Dr A", "called", "not-relevant", "open"), ("handled", "Dr B", None, "relevant", "open"),
                ("escalated", None, None, None, "open"), ("cleared", None, None, None, "cleared"),
                ("handled", "Dr C", None, "technical", "cleared")])
    base.equal({e["retrospective"] for e in events if "outcome" in e}, {False}, "commands are live")
    after = row(episode)
    base.equal((after["state"], after["acknowledged_by"], after["handled_by"], after["handled_outcome"]),
               ("cleared", None, "Dr C", "technical"), "an escalation asks for acknowledgement again")
    listed = [e for e in json.loads(site().node.ctl("alerts", "--patient", "P-1", "--json")) if e["episode_id"] == episode]
    base.equal((listed[0]["handled_by"], listed[0]["handled_outcome"], listed[0]["shelved_until"]), ("Dr C", "technical", None))


def test_a_shelf_ends_by_the_clock_also_after_clearing_and_a_restart():
    episode = open_episode("P-2")
    until = check.to_text(now() + 3 * HOUR)
    alert("shelve", episode, "--until", until, "--reason", "known to Dr A", "--author", "Nurse B")
    base.equal(check.to_ms(row(episode)["shelved_until"]), check.to_ms(until), "until")
    send("P-2", 100, ago=0)
    site().node.clock({"advance": "1h"})
    base.equal(row(episode)["state"], "cleared")
    base.check(row(episode)["shelved_until"] is not None, "still on its shelf")
    site().node.kill()
    site().node.start()
    site().node.clock({"advance": "3h"})
    base.equal(row(episode)["shelved_until"], None)
    events = told(episode)
    base.equal([(e["event"], e.get("author"), e["reason"], e.get("until"), e["state"]) for e in events],
               [("raised", None, None, None, "open"), ("shelved", "Nurse B", "known to Dr A", until, "open"),
                ("cleared", None, None, None, "cleared"), ("unshelved", None, None, until, "cleared")])
    base.check(0 < check.to_ms(events[3]["decided_at"]) - check.to_ms(until) <= 1000, "decided", events[3])
    alert("shelve", episode, "--until", check.to_text(now() + HOUR), "--reason", "again")
    alert("unshelve", episode, "--author", "Nurse C")
    base.equal(row(episode)["shelved_until"], None, "before its end")
    site().node.clock({"advance": "2h"})
    base.equal([(e["event"], e.get("author")) for e in told(episode)[5:]], [("unshelved", "Nurse C")], "once")


def test_what_the_rules_refuse():
    episode, soon = open_episode("P-3"), check.to_text(now() + HOUR)
    for verb, options in (("ack", ()), ("handle", ("--outcome", "technical")), ("unshelve", ()),
                          ("shelve", ("--until", soon, "--reason", "r"))):
        alert(verb, UNKNOWN, *options, expect=66)
        alert(verb, "no-uuid", *options, expect=66)
    alert("handle", episode, expect=65)
    alert("handle", episode, "--outcome", "splendid", expect=65)
    alert("handle", episode, "--until", soon, expect=64)
    alert("shelve", episode, "--until", soon, expect=65)
    alert("shelve", episode, "--reason", "r", expect=65)
    alert("shelve", episode, "--until", "tomorrow", "--reason", "r", expect=65)
    alert("shelve", episode, "--until", check.to_text(now()), "--reason", "r", expect=65)
    alert("shelve", episode, "--until", check.to_text(now() + 7 * 24 * HOUR + 1), "--reason", "r", expect=65)
    alert("unshelve", episode, expect=65)
    alert("shelve", episode, "--until", check.to_text(now() + 7 * 24 * HOUR), "--reason", "r")
    send("P-3", 60, status="void")
    alert("handle", episode, "--outcome", "technical", expect=65)
    base.equal([e["event"] for e in told(episode)], ["raised", "shelved", "cancelled"])
    client = site().node.control()
    for target, body, status in (("/v1/alerts/%s/handle" % episode, {"outcome": 1}, 400),
                                 ("/v1/alerts/%s/ack" % episode, {"remark": "x"}, 400),
                                 ("/v1/alerts/%s/snooze" % episode, {}, 404)):
        base.equal(client.post(target, body).status, status, target)
    client.close()


def unconfirmed():
    listed = json.loads(site().node.ctl("rules", "unconfirmed", "--json"))
    base.equal(site().node.metrics()["vigie_unconfirmed_patients"], listed["total"], "metric")
    return [(entry["patient"], entry["line"], entry["rules"]) for entry in listed["patients"]]


def confirmation(ref):
    return {"type": "confirmation", "patient": ref, "line": sites.LINE, "author": "Dr A", "role": "physician",
            "from": check.to_text(now())}


def test_patients_without_confirmation_are_listed_counted_and_told():
    base.equal(unconfirmed(), [])
    site().node.import_rows([sites.rule_row(WAITING)])
    base.equal([entry[0] for entry in sorted(unconfirmed())], ["P-1", "P-2", "P-3"])
    site().node.import_rows([confirmation("P-1")] + sites.patient_rows("P-4", device=False) + [confirmation("P-4")])
    site().node.import_rows([{"type": "left", "patient": "P-2", "reason": "moved",
                              "at": check.to_text(now())}])
    base.equal(unconfirmed(), [("P-3", sites.LINE, ["test.waiting"])])
    base.check("P-3" in site().node.ctl("rules", "unconfirmed"), "the table for people")
    site().node.restart()
    base.equal(unconfirmed(), [("P-3", sites.LINE, ["test.waiting"])], "after a restart")
    site().node.import_rows([confirmation("P-3")])
    base.equal(unconfirmed(), [])
    found = [(e["patient"], e["event"], e["class"], e["reason"]) for e in published()
             if e["rule"]["id"] == "technical.rules-unconfirmed"]
    base.equal(sorted(found, key=lambda event: event[0]),
               [("P-1", "raised", "technical", None), ("P-1", "cleared", "technical", None),
                ("P-2", "raised", "technical", None), ("P-2", "closed", "technical", "left"),
                ("P-3", "raised", "technical", None), ("P-3", "cleared", "technical", None)],
               "who is enrolled and confirmed at once calls nobody")
