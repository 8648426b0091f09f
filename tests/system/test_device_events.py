"""Alarms of devices (`events` of /v1/readings) through the real daemon: acknowledged when durable, kept as the maker
classified them, one episode a device episode, over restarts, once in PostgreSQL."""
import functools
import json

from tests.harness import base, check, jsonschema, site as sites
from tests.harness.site import message

START = check.to_ms("2027-03-01T08:00:00Z")
MINUTE, HOUR, DAY = 60 * 1000, 3600 * 1000, 24 * 3600 * 1000
RULE = {"id": "test.device", "line": sites.LINE, "kind": "event",
        "classes": {"lead-integrity": "high", "battery-eri": "medium", "*": "low"},
        "text": {"fr": "Alerte de l'implant", "en": "Implant alert"}, "source": "test", "tag": "TEST"}


@functools.lru_cache(None)
def site():
    place = sites.Site("device-events", settings={"node": {"test_clock": check.to_text(START)}})
    rows = sites.organization_rows() + [sites.rule_row(sites.SILENCE)]
    for ref in ("P-1", "P-2", "P-3", "P-4"):
        rows += sites.patient_rows(ref, rules=[RULE])  # of the patient: it reaches back
        rows.append({"type": "source", "ref": "imp-" + ref, "kind": "device", "devices": ["D-" + ref],
                     "organization": "ORG-A", "token": "token-of-" + ref})
    place.node.import_rows(rows + [sites.gateway_row("gw", "token-of-gw", ["D-P-1", "D-P-2"]),
                                   sites.system_row("sys", "token-of-sys")])
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def at(offset):
    return check.to_text(START + offset)


def event(kind, episode, phase, offset=None, **more):
    return dict({"class": kind, "episode": episode, "phase": phase}, **({} if offset is None else {"time": at(offset)}),
                **more)


def send(token, *events, **more):
    """One message of events; the answer."""
    door = site().node.https(token)
    answer = door.post("/v1/readings", dict({"events": list(events)}, **more))
    door.close()
    return answer


def counts(answer, status=200):
    base.equal(answer.status, status, answer)
    return tuple(answer.json()[name] for name in ("accepted", "duplicate", "quarantined")) + (
        len(answer.json()["rejected"]),)


def stored(patient):
    """What PostgreSQL has: (events, rows of device_event)."""
    site().node.wait_drained("postgres")
    events = [json.loads(row[0]) for row in site().cluster.query(
        "SELECT e.payload::text FROM vigie.alert_event e JOIN vigie.alert a USING (episode_id) "
        "JOIN vigie.patient p USING (patient_id) WHERE p.ref = %s AND a.class = 'device' ORDER BY shard, position",
        (patient,), database="vigie")]
    rows = site().cluster.query(
        "SELECT key_device, episode, class, phase, measured_at, quarantine FROM vigie.device_event "
        "JOIN vigie.patient p USING (patient_id) WHERE p.ref = %s ORDER BY measured_at, phase DESC, class", (patient,),
        database="vigie")
    return events, rows


def told(events):
    return [(one["event"], one["priority"], one["measured_at"]) for one in events]


def test_kept_as_the_maker_classified_it_over_a_kill():
    node = site().node
    base.equal(counts(send("token-of-P-1", event("battery-eri", "E-7", "start", -MINUTE))), (1, 0, 0, 0))
    events, rows = stored("P-1")
    base.equal(told(events), [("raised", "medium", at(-MINUTE))])
    base.equal(jsonschema.errors(events[0], check.schema()), [], "schema")
    for name, value in (("class", "device"), ("side", ""), ("parameter", None), ("value", None), ("readings", []),
                        ("state", "open"), ("retrospective", False), ("text", RULE["text"]),
                        ("device_event", {"device": "D-P-1", "episode": "E-7", "class": "battery-eri",
                                          "phase": "start", "measured_at": at(-MINUTE)})):
        base.equal(events[0][name], value, name)
    base.equal((events[0]["rule"]["kind"], events[0]["rule"]["parameters"]["classes"]), ("event", RULE["classes"]))
    base.equal([row[:4] for row in rows], [("D-P-1", "E-7", "battery-eri", "start")])

    node.kill()
    node.start()
    base.equal(counts(send("token-of-P-1", event("battery-eri", "E-7", "start", -MINUTE))), (0, 1, 0, 0), "a resend")
    base.equal(counts(send("token-of-gw", event("lead-integrity", "E-7", "continue", 0),
                           event("other", "E-8", "start", 0), event("other", "E-8", "end", 0), device="D-P-1")),
               (3, 0, 0, 0), "another route of the same device")
    node.restart()
    base.equal(counts(send("token-of-P-1", event("lead-integrity", "E-7", "end", 1))), (1, 0, 0, 0))
    events, rows = stored("P-1")
    base.equal(told(events), [("raised", "medium", at(-MINUTE)), ("raised", "low", at(0)), ("escalated", "high", at(0)),
                              ("cleared", "low", at(0)), ("cleared", "high", at(1))])
    base.equal(len({one["episode_id"] for one in events}), 2, "two device episodes")
    base.equal(len(rows), 5, "each message once", rows)
    alerts = site().cluster.query("SELECT state, priority, side, rule_id FROM vigie.alert WHERE class = 'device' "
                                  "AND episode_id = %s", (events[0]["episode_id"],), database="vigie")
    base.equal(alerts, [("cleared", "high", "", "test.device")])
    base.check("differences" not in open(node.log).read(), "replay decides as it did")


def test_readings_beside_events():
    body = message("P-2", at(0), ("29463-7", 71, "kg"), ("29463-7", 71, "K"), device="D-P-2",
                   events=[event("x", "1", "start"), event("x", "1", "stop"), event("x", "1", "start")])
    door = site().node.https("token-of-gw")
    answer = door.readings(body)
    base.equal(counts(answer), (2, 1, 0, 2))
    base.equal([(one["message"], one["reading"], one.get("event"), one["code"]) for one in answer.json()["rejected"]],
               [(0, 1, None, "unit-mismatch"), (0, None, 1, "malformed")], answer)
    door.close()
    base.equal(told(stored("P-2")[0]), [("raised", "low", at(0))])


def test_refusals():
    good = event("x", "1", "start", 0)
    for token, events, more, status, code in (
            ("token-of-P-3", [dict(good, phase="stop")], {}, 422, "malformed"),
            ("token-of-P-3", [dict(good, klass="x")], {}, 422, "unknown-key"),
            ("token-of-P-3", [{"class": "x", "episode": "1", "phase": "end"}], {}, 422, "time-missing"),
            ("token-of-P-3", [dict(good, time="2027-03-01T08:00:00")], {}, 422, "time-offset"),
            ("token-of-P-3", [dict(good, time="2027-03-01")], {}, 422, "malformed"),
            ("token-of-P-3", [{"class": "x", "phase": "end", "time": at(0)}], {}, 422, "value-missing"),
            ("token-of-P-3", [dict(good, episode=7)], {}, 422, "malformed"),
            ("token-of-P-3", [good], {"patient": "P-2"}, 422, "patient-mismatch"),
            ("token-of-gw", [good], {}, 422, "unknown-device"),
            ("token-of-gw", [good], {"device": "nope"}, 422, "unknown-device"),
            ("token-of-gw", [good], {"device": "D-P-3"}, 403, "forbidden"),
            ("token-of-sys", [good], {"patient": "nobody"}, 422, "unknown-patient")):
        answer = send(token, *events, **more)
        base.equal(counts(answer, status), (0, 0, 0, 1), code)
        refused = answer.json()["rejected"][0]
        base.equal((refused["message"], refused["reading"], refused["event"], refused["code"]), (0, None, 0, code), answer)
    base.equal(send("token-of-P-3").json()["code"], "value-missing", "no events at all")
    base.equal(stored("P-3"), ([], []), "nothing of it is kept")


def test_any_order_and_what_is_too_late():
    base.equal(counts(send("token-of-P-3", event("lead-integrity", "E", "end", -70 * HOUR))), (1, 0, 0, 0))
    base.equal(counts(send("token-of-P-3", event("lead-integrity", "E", "start", -71 * HOUR),
                           event("battery-eri", "E", "continue", -70.5 * HOUR))), (2, 0, 0, 0))
    base.equal(counts(send("token-of-P-3", event("x", "old", "start", -36 * DAY), event("x", "soon", "start", HOUR))),
               (1, 0, 1, 0))
    base.equal(counts(send("token-of-P-3", event("x", "soon", "start", HOUR))), (0, 1, 0, 0))
    events, rows = stored("P-3")
    base.check(all(one["retrospective"] for one in events), "nothing pages after 48 hours")
    last = events[-1]
    base.equal((last["raised_at"], last["cleared_at"], last["priorities"]),
               (at(-71 * HOUR), at(-70 * HOUR), [[at(-71 * HOUR), "high"], [at(-70.5 * HOUR), "medium"],
                                                 [at(-70 * HOUR), "high"]]))
    base.equal([(row[1], row[5]) for row in rows if row[1] != "E"], [("old", ""), ("soon", "future")])
    technical = site().cluster.query("SELECT rule_id FROM vigie.alert JOIN vigie.patient p USING (patient_id) "
                                     "WHERE p.ref = 'P-3' AND class = 'technical' ORDER BY 1", database="vigie")
    base.equal(technical, [("technical.late-readings",), ("technical.quarantine",)])


def test_handled_closes_and_a_resend_of_long_ago_is_stored_once():
    node = site().node
    send("token-of-P-4", event("battery-eri", "E-1", "start", 0))
    episode = stored("P-4")[0][0]["episode_id"]
    node.ctl("alert", "handle", episode, "--author", "Dr A", "--outcome", "relevant")
    node.clock({"advance": "80d"})
    base.equal(counts(send("token-of-P-4", event("battery-eri", "E-1", "continue", 80 * DAY))), (1, 0, 0, 0))
    base.equal(counts(send("token-of-P-4", event("battery-eri", "E-1", "start", 0))), (1, 0, 0, 0))
    events, rows = stored("P-4")
    base.equal([one["event"] for one in events], ["raised", "handled", "closed"])
    base.equal([row[3] for row in rows], ["start", "continue"])
    base.equal(site().cluster.query("SELECT state FROM vigie.alert WHERE episode_id = %s", (episode,), database="vigie"),
               [("closed",)])
    node.restart()
    base.equal(counts(send("token-of-P-4", event("lead-integrity", "E-1", "continue", 80 * DAY + 1))), (1, 0, 0, 0))
    events, rows = stored("P-4")
    base.equal([(one["event"], one["priority"], one["retrospective"]) for one in events[3:]],
               [("amended", "high", True), ("escalated", "high", False)], "more than what was handled")
    base.equal(events[3]["reopened"], True)
    explained = json.loads(node.ctl("explain", "--json", episode))
    base.equal((explained["equal"], len(explained["events"])), (True, 5), "decided again from what is stored")


def test_readers_see_their_own():
    rows = site().cluster.query("SELECT patient, device, class, phase FROM vigie.device_event_history "
                                "WHERE patient = 'P-2'", database="vigie")
    base.equal(rows, [("P-2", "D-P-2", "x", "start")])
    refused = site().cluster.query("SELECT has_table_privilege('vigie_reader', 'vigie.device_event', 'SELECT'), "
                                   "has_table_privilege('vigie_loader', 'vigie.device_event', 'UPDATE'), "
                                   "has_table_privilege('vigie_reader', 'vigie.device_event_history', 'SELECT')",
                                   database="vigie")
    base.equal(refused, [(False, False, True)])
