"""Seven defects read in the sources of comparable products (PITFALLS.md section 3, X1 to X7): each as a test that Vigie passes."""
import functools
import signal
import time

from tests.harness import base, check, consume, site as sites

PLAIN_ONLY = "one thread decides: nothing of it is new to a sanitizer"
TOKEN = "token-of-sys-a"
START = check.to_ms("2026-12-01T00:00:00Z")
MINUTE, HOUR, DAY = 60000, 3600000, 86400000
WEIGHT, GLUCOSE, HEART = ("29463-7", "kg"), ("2339-0", "mg/dL"), ("8867-4", "/min")


@functools.lru_cache(None)
def site():
    place = sites.Site("peers", broker=True, settings={"node": {"test_clock": check.to_text(START)}})
    place.node.import_rows(sites.organization_rows() + [sites.rule_row(sites.SILENCE), sites.system_row("sys-a", TOKEN)])
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def now():
    return check.to_ms(site().node.clock()["now"])


def advance(duration):
    site().node.clock({"advance": duration})


def enrol(ref, *rules):
    rows = sites.patient_rows(ref, device=False, rules=rules)
    del rows[0]["enrolled_at"]
    site().node.import_rows(rows)


def post(patient, *readings):
    items = [{"code": kind[0], "unit": kind[1], "value": value, "time": check.to_text(at)} for kind, value, at in readings]
    return site().node.http(TOKEN).readings(sites.message(patient, check.to_text(now()), *items))


def send(patient, *readings):
    answer = post(patient, *readings)
    base.equal((answer.status, answer.json()["accepted"]), (200, len(readings)), answer)


def rows(query, *arguments):
    return site().cluster.query(query, arguments or None, database="vigie")


def events(patient, rule=None):
    site().node.wait_drained("postgres")
    found = [row[0] for row in rows("SELECT payload FROM vigie.alert_event ORDER BY shard, position, decided_at, sequence")]
    return [event for event in found if event["patient"] == patient and (rule is None or event["rule"]["id"] == rule)]


def told(patient, rule=None):
    return [(event["event"], event["side"], event["priority"], event["retrospective"]) for event in events(patient, rule)]


def limit(name, **more):
    return dict(sites.GLUCOSE, id=name, hysteresis=0, **more)


def test_x1_one_buffered_reading_never_satisfies_a_duration():
    """A duration lies between measured times, with a reading at both ends; no clock adds to it."""
    enrol("X1", limit("x1.low", **{"for": "10m", "max_gap": "1h"}))
    at = now() - 2 * HOUR
    send("X1", (GLUCOSE, 60, at))
    base.equal(told("X1"), [], "measured two hours ago, alone")
    advance("3h")
    base.equal(told("X1"), [], "nor does the clock add to it")
    send("X1", (GLUCOSE, 60, at + 10 * MINUTE - 1))
    base.equal(told("X1"), [], "a millisecond short of ten minutes")
    send("X1", (GLUCOSE, 60, at + 10 * MINUTE))
    found = events("X1")
    base.equal([(event["event"], event["raised_at"]) for event in found], [("raised", check.to_text(at + 10 * MINUTE))])
    ends = [reading["measured_at"] for reading in found[0]["readings"]]
    base.equal((ends[0], ends[-1]), (check.to_text(at), check.to_text(at + 10 * MINUTE)), "evidence at both ends")


def test_x2_a_late_low_value_is_told_and_severity_goes_both_ways():
    enrol("X2", limit("x2.low"))
    at = now() - 20 * HOUR
    send("X2", (GLUCOSE, 110, at + 2 * HOUR))
    send("X2", (GLUCOSE, 60, at))
    base.equal(told("X2"), [("raised", "low", "medium", True), ("cleared", "low", "medium", True)],
               "older than the newest seen, and told all the same")
    for minutes, value in ((180, 60), (190, 50), (200, 60), (210, 90)):
        send("X2", (GLUCOSE, value, at + minutes * MINUTE))
    base.equal([(event["event"], event["priority"]) for event in events("X2")][2:],
               [("raised", "medium"), ("escalated", "high"), ("deescalated", "medium"), ("cleared", "medium")])
    base.equal(events("X2")[-1]["priorities"], [[check.to_text(at + minutes * MINUTE), priority] for minutes, priority in
                                                ((180, "medium"), (190, "high"), (200, "medium"))], "each change is kept")


def test_x3_in_is_stored_rejected_or_quarantined():
    """Nothing is skipped: each reading sent is stored, quarantined or refused to its sender's face; the counters say the same."""
    enrol("X3")
    before, counted = tables(), site().node.metrics()
    at, sent = now() - HOUR, {"accepted": 0, "duplicate": 0, "quarantined": 0, "rejected": 0}
    mixed = [[(WEIGHT, 70, at), (WEIGHT, 900, at + 1)],                       # stored, quarantined
             [(WEIGHT, 70, at), (HEART, 70, at)],                             # again, stored
             [(WEIGHT, 70, now() + DAY)],                                     # in the future: quarantined
             [(("29463-7", "parsec"), 70, at), (("0-0", "kg"), 1, at), (WEIGHT, 71, at + 2)],   # two rejected, stored
             [(("29463-7", "cm"), 70, at)]]                                   # rejected alone
    for readings in mixed * 20:
        answer = post("X3", *readings)
        body = answer.json()
        for result in ("accepted", "duplicate", "quarantined"):
            sent[result] += body[result]
        sent["rejected"] += len(body["rejected"])
    site().node.wait_drained("postgres")
    base.equal(sum(sent.values()), 20 * sum(map(len, mixed)), "each reading has one result", sent)
    after = tables()
    base.equal([after[name] - before[name] for name in ("reading", "quarantine")], [sent["accepted"], sent["quarantined"]], sent)
    metrics = site().node.metrics()
    for result, number in sent.items():
        name = 'vigie_readings_total{result="%s"}' % result
        base.equal(metrics[name] - counted[name], number, name)


def tables():
    return {name: rows("SELECT count(*) FROM vigie." + name)[0][0] for name in ("reading", "quarantine", "rejected")}


def test_x4_silence_needs_no_reading_and_lasts():
    """Timers follow the roster: never seen, ten days, a restart in between; an acknowledgement is one level's."""
    at = now()
    enrol("X4", limit("x4.low"), dict(sites.SILENCE, max_gap="36h"))
    advance("20h")
    site().node.restart()
    advance("100h")
    site().node.kill()
    site().node.start()
    advance("5d")
    base.check(now() - at >= 10 * DAY, "ten days")
    found = events("X4", "test.silence")
    base.equal([(event["event"], event["state"], check.to_ms(event["raised_at"]) - at) for event in found],
               [("raised", "open", 36 * HOUR)], "once, at its time, still open")
    send("X4", (GLUCOSE, 60, now() - MINUTE))
    episode = events("X4", "x4.low")[0]["episode_id"]
    site().node.ctl("alert", "ack", episode, "--author", "Nurse B")
    base.check(acknowledged(episode), "the medium level is acknowledged")
    send("X4", (GLUCOSE, 50, now()))
    base.check(not acknowledged(episode), "the high level asks for itself")
    silent = found[0]["episode_id"]
    site().node.restart()
    base.check(not acknowledged(silent) and not acknowledged(episode), "also after a restart")


def acknowledged(episode):
    site().node.wait_drained("postgres")
    return rows("SELECT acknowledged_at IS NOT NULL FROM vigie.alert WHERE episode_id = %s", episode)[0][0]


def test_x5_only_what_is_delivered_or_committed_moves_a_cursor():
    """A frozen broker takes records and reports none, a lock stops a transaction before its end; then the process dies."""
    enrol("X5", limit("x5.low"))
    site().node.wait_drained()
    before = len(check.distinct_events(records()))
    site().broker.child.send_signal(signal.SIGSTOP)
    lock = connect()
    try:
        lock.cursor().execute("LOCK TABLE vigie.reading IN SHARE MODE")
        position = rows("SELECT sum(position) FROM vigie.journal_cursor")
        for i in range(10):
            send("X5", (GLUCOSE, 60 if i % 2 == 0 else 100, now() - HOUR + i * MINUTE))
        time.sleep(2)  # both sinks have taken what they can
        base.check(site().node.lag("kafka") >= 10 and site().node.lag("postgres") >= 10, "nothing counts as delivered")
        base.equal(rows("SELECT sum(position) FROM vigie.journal_cursor"), position, "the cursor waits for the commit")
        site().node.kill()
    finally:
        lock.close()
        site().broker.child.send_signal(signal.SIGCONT)
    site().node.start()
    site().node.wait_drained()
    base.equal(len(check.distinct_events(records())) - before, 10, "each event reached the topic")
    base.equal(rows("SELECT count(*) FROM vigie.reading r JOIN vigie.patient p USING (patient_id) WHERE p.ref = 'X5'"),
               [(10,)], "each reading once")


def records():
    return consume.by_confluent(site().broker.bootstrap)


def connect():
    try:
        import psycopg2
    except ImportError:
        raise base.Unavailable("python3-psycopg2 is not installed: tests/deps.sh")
    return psycopg2.connect(site().cluster.conninfo("vigie"))


# What PostgreSQL may answer to a good batch, class by class, and what must become of it.
SQLSTATES = {
    "retry": ["57P01", "25006", "53100", "40P01", "40001", "08006", "58030", "55P03", "XX000"],
    "bisect": ["22P02", "23514", "54000"],
    "stop": ["42501", "0A000", "3D000", "3F000", "28000"],
}
ARM = """
CREATE SEQUENCE IF NOT EXISTS public.injected;
CREATE OR REPLACE FUNCTION public.inject() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF NEW.value = 71000000 AND (%(always)s OR nextval('public.injected') = 1) THEN
        RAISE EXCEPTION 'injected' USING ERRCODE = '%(code)s';
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER IF EXISTS inject ON vigie.reading;
CREATE TRIGGER inject BEFORE INSERT ON vigie.reading FOR EACH ROW EXECUTE FUNCTION public.inject();
ALTER SEQUENCE public.injected RESTART;
"""


def test_x6_each_class_of_sqlstate_has_its_answer():
    """Retry: nothing is lost. Bisect: one row is put aside and told. Stop: nothing goes on, nothing is lost."""
    enrol("X6")
    for action, codes in SQLSTATES.items():
        for number, code in enumerate(codes):
            inject(action, code, HOUR * (1 + list(SQLSTATES).index(action)) + number * MINUTE)
    disarm()


def disarm():
    site().cluster.psql("DROP TRIGGER IF EXISTS inject ON vigie.reading", "vigie")


def inject(action, code, before_ms):
    site().node.wait_drained("postgres")
    before = tables()
    site().cluster.psql(ARM % {"code": code, "always": str(action != "retry")}, "vigie")
    at = now() - before_ms
    post("X6", *[(WEIGHT, 71 if i == 3 else 70, at + i) for i in range(6)])
    if action == "stop":
        base.wait_for(code + " is told", lambda: "sqlstate=" + code in log(), 10)
        base.equal(tables(), before, code, "stops")
        disarm()
    site().node.wait_drained("postgres")
    after = tables()
    aside = 1 if action == "bisect" else 0
    base.equal([after[name] - before[name] for name in ("reading", "rejected")], [6 - aside, aside], action, code)
    if aside:
        base.equal(rows("SELECT code, text FROM vigie.rejected ORDER BY received_at DESC, text DESC LIMIT 200").count(
            ("not-storable", code)), 1, "what was put aside says why")


def log():
    with open(site().node.log, errors="replace") as file:
        return file.read()


def test_x7_conditions_at_once_all_raise_and_staleness_takes_none():
    rules = [limit("x7.glucose"), dict(sites.WEIGHT, id="x7.weight"),
             {"id": "x7.heart", "kind": "limit", "parameter": "heart-rate", "unit": "/min",
              "levels": [{"priority": "high", "above": 120}]},
             {"id": "x7.heart-again", "kind": "limit", "parameter": "heart-rate", "unit": "/min",
              "levels": [{"priority": "low", "above": 110}]},
             {"id": "x7.spo2", "kind": "limit", "parameter": "spo2", "unit": "%",
              "levels": [{"priority": "high", "below": 90}]}]
    enrol("X7", *rules, dict(sites.SILENCE, max_gap="36h"))
    at = now() - 6 * HOUR  # long before now
    send("X7", (WEIGHT, 70, at - 1))
    send("X7", (GLUCOSE, 50, at), (WEIGHT, 73, at), (HEART, 130, at), (("2708-6", "%"), 85, at))
    expected = sorted(rule["id"] for rule in rules)
    base.equal(sorted(event["rule"]["id"] for event in events("X7") if event["event"] == "raised"), expected)
    advance("40h")
    found = events("X7")
    base.equal(sorted(event["rule"]["id"] for event in found), sorted(expected + ["test.silence"]), "one more, none less")
    site().node.wait_drained("postgres")
    base.equal(rows("SELECT count(*) FROM vigie.open_alert WHERE patient = 'X7'"), [(6,)], "all open")
