"""Attacks on silence: each row of the table below tries to keep a patient from being noticed, and fails.

Every attack has a patient of its own, enrolled at one instant of the held clock on a line whose silence is 36 hours.
Whatever was tried, silence is raised 36 hours after the enrolment, to the millisecond: what was refused changed
nothing, and what was accepted is no sign of life."""
import contextlib
import functools
import json
import time

import psycopg2

from tests.harness import base, check, site as sites
from tests.harness.site import message

PLAIN_ONLY = "one thread decides: nothing of it is new to a sanitizer"

TOKEN, OTHER = "token-of-sys-a", "token-of-sys-b"
START = check.to_ms("2026-12-01T00:00:00Z")
MINUTE, HOUR, DAY = 60000, 3600000, 86400000
SILENCE = dict(sites.SILENCE, max_gap="36h", parameters=["body-weight"])
GAP = 36 * HOUR
LOGINS = ("vigie_loader", "vigie_registry", "vigie_identity", "vigie_reader")


# ------------------------------------------------------------------------------------------------- the means

def imported(*rows):
    """vigiectl import; true when it is refused."""
    status, output, errors = site().node.ctl("import", "-", expect=None,
                                             stdin="".join(json.dumps(row) + "\n" for row in rows).encode())
    base.check(status in (0, 65), status, output, errors)
    return status == 65


def rule(patient=None, **changes):
    layer = {"patient": patient} if patient else {"line": sites.LINE}
    changed = {key: value for key, value in dict(SILENCE, **changes).items() if value is not None}
    return lambda: imported(sites.rule_row(changed, check.to_text(START), **layer))


def suspension(patient, begin, end, **more):
    row = {"type": "suspension", "patient": patient, "rule": "test.silence", "author": "Nurse B", "reason": "holiday",
           "from": check.to_text(START + begin), "until": check.to_text(START + end)}
    row.update(more)
    return {key: value for key, value in row.items() if value is not None}


def suspended(*rows):
    return lambda: imported(*rows)


def sql(role, statement):
    """As a role of the schema; true when the database refuses. The migrate login is the owner's owner: '' ."""
    def attempt():
        connection = psycopg2.connect(site().cluster.conninfo("vigie"))
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            if role:
                cursor.execute("SET ROLE " + role)
            try:
                cursor.execute(statement)
                return False
            except psycopg2.Error as error:  # by a constraint or for lack of a right, and for nothing else
                base.check(error.pgcode in ("23514", "42501"), statement, error)
                return True
    return attempt


def rule_sql(layer, scope, text, version=9):
    return ("INSERT INTO vigie.rule_version (layer, scope, rule_id, version, author, role, reason, rule) VALUES "
            "('%s', '%s', 'test.silence', %d, 'x', 'physician', 'x', '%s')" % (layer, scope, version, json.dumps(text)))


def number(ref):
    return "(SELECT patient_id FROM vigie.patient WHERE ref = '%s')" % ref


def suspension_sql(ref, until, role="", rule_id="test.silence", begin="2026-12-01"):
    return ("INSERT INTO vigie.suspension (patient_id, rule_id, from_at, until_at, author, role, reason) VALUES "
            "(%s, '%s', '%s', '%s', 'x', '%s', 'x')" % (number(ref), rule_id, begin, until, role))


def sent(ref, ages, result, code="29463-7", unit="kg", value=70, token=TOKEN, **more):
    """Readings of those ages (ms before the clock). `result`: what becomes of each. Never refused as a request."""
    def attempt():
        now = check.to_ms(site().node.clock()["now"])
        for age in ages:
            body = message(ref, check.to_text(now - age), (code, value, unit), **more)
            answer = site().node.https(token).readings(body).json()
            found = "rejected" if answer.get("rejected") else next(
                (key for key in ("accepted", "duplicate", "quarantined") if answer.get(key)), None)
            base.equal(found, result, ref, answer)
        return False
    return attempt


# --------------------------------------------------------------------------------------- the table of attacks
# name of the patient: (when in ms after the enrolment, attempt, is it refused: True, False, None: either)

def attacks():
    p = dict  # one row each
    table = {
        # import and API
        "disable": p(do=rule("disable", enabled=False), refused=True),
        "disable-line": p(do=rule(enabled=False), refused=True),
        "inherit-line": p(do=lambda: imported(sites.rule_row({"id": "test.silence", "inherit": True})), refused=True),
        "gap-32d": p(do=rule("gap-32d", max_gap="32d"), refused=True),
        "gap-huge": p(do=rule("gap-huge", max_gap="999999999999d"), refused=True),
        "gap-none": p(do=rule("gap-none", max_gap=None), refused=True),
        "days-32": p(do=rule("days-32", max_gap=None, missed_days=32), refused=True),
        "days-0": p(do=rule("days-0", max_gap=None, missed_days=0), refused=True),
        "no-parameters": p(do=rule("no-parameters", parameters=[]), refused=True),
        "foreign-parameters": p(do=rule("foreign-parameters", parameters=["heart-rate"]), refused=True),
        "other-kind": p(do=lambda: imported(sites.rule_row(
            {"id": "test.silence", "kind": "limit", "parameter": "body-weight", "unit": "kg", "text": SILENCE["text"],
             "levels": [{"priority": "low", "above": 200}], "source": "x", "tag": "X"}, patient="other-kind")),
            refused=True),
        "grace-huge": p(do=rule("grace-huge", grace="9999d"), refused=True),
        "line-without": p(do=lambda: imported(dict(sites.patient_rows("line-without")[0], line="no-such-line")),
                          refused=True),
        "enrol-without": p(do=lambda: imported(dict(sites.patient_rows("new-one")[0], line="no-such-line")),
                           refused=True),
        "suspend-endless": p(do=suspended(suspension("suspend-endless", 0, 0, until=None)), refused=True),
        "suspend-32d": p(do=suspended(suspension("suspend-32d", 0, 32 * DAY)), refused=True),
        "suspend-late": p(do=suspended(suspension("suspend-late", 5 * DAY, 34 * DAY)), refused=True),
        "suspend-chain": p(do=suspended(suspension("suspend-chain", 2 * DAY, 20 * DAY),
                                        suspension("suspend-chain", 10 * DAY, 31 * DAY),
                                        suspension("suspend-chain", 0, 30 * DAY, role="nurse"),
                                        suspension("suspend-chain", 0, 40 * DAY)), refused=True),
        "suspend-other": p(do=suspended(suspension("suspend-other", 0, DAY, rule="test.weight")), refused=True),
        "suspend-unsigned": p(do=suspended(suspension("suspend-unsigned", 0, DAY, author="")), refused=True),
        "suspend-past": p(when=10 * HOUR, refused=None,  # what is over suspends nothing
                          do=suspended(suspension("suspend-past", -20 * DAY, 9 * HOUR))),
        "left-future": p(do=lambda: imported({"type": "left", "patient": "left-future", "reason": "x",
                                              "at": check.to_text(START + 400 * DAY)}), refused=None),
        # SQL, as every role
        "sql-disable": p(do=sql("vigie_registry", rule_sql("patient", "sql-disable", dict(SILENCE, enabled=False))),
                         refused=True),
        "sql-disable-owner": p(do=sql("vigie_owner", rule_sql("patient", "sql-disable-owner",
                                                              {"id": "test.silence", "enabled": False})), refused=True),
        "sql-gap": p(do=sql("vigie_registry", rule_sql("patient", "sql-gap", dict(SILENCE, max_gap="3650d"))),
                     refused=True),
        "sql-gap-10y": p(do=sql("", rule_sql("patient", "sql-gap-10y", dict(SILENCE, max_gap="10y"))), refused=True),
        "sql-days": p(do=sql("vigie_registry", rule_sql("patient", "sql-days", dict(SILENCE, missed_days=4000))),
                      refused=True),
        "sql-inherit-line": p(do=sql("vigie_owner", rule_sql("line", sites.LINE, {"id": "test.silence",
                                                                                  "inherit": True})), refused=True),
        "sql-kind": p(do=sql("vigie_registry", rule_sql("patient", "sql-kind", {"id": "test.silence", "kind": "limit"})),
                      refused=True),
        "sql-parameters": p(do=sql("vigie_registry", rule_sql("patient", "sql-parameters", dict(SILENCE,
                                                                                                parameters=[]))),
                            refused=True),
        "sql-foreign": p(do=sql("vigie_registry", rule_sql("patient", "sql-foreign", dict(  # the shard refuses it
            SILENCE, parameters=["heart-rate"]))), refused=False),
        "sql-rewrite": p(do=sql("vigie_registry", "UPDATE vigie.rule_version SET rule = '{}' WHERE rule_id = "
                                                  "'test.silence'"), refused=True),
        "sql-rewrite-owner": p(do=sql("vigie_owner", "UPDATE vigie.rule_version SET rule = '%s' WHERE rule_id = "
                                                     "'test.silence'" % json.dumps(dict(SILENCE, max_gap="90d"))),
                               refused=True),
        "sql-valid-from": p(do=sql("vigie_registry", "UPDATE vigie.rule_version SET valid_from = '2099-01-01' WHERE "
                                                     "rule_id = 'test.silence'"), refused=None),
        "sql-suspend": p(do=sql("vigie_registry", suspension_sql("sql-suspend", "2099-01-01")), refused=True),
        "sql-suspend-other": p(do=sql("vigie_registry", suspension_sql("sql-suspend-other", "2026-12-20", rule_id="x")),
                               refused=True),
        "sql-line": p(do=sql("vigie_registry", "UPDATE vigie.patient SET line = 'no-such-line' WHERE ref = 'sql-line'"),
                      refused=False),
        "sql-enrolled": p(do=sql("vigie_registry", "DELETE FROM vigie.patient WHERE ref = 'sql-enrolled'"), refused=True),
        # signs of life that are none
        "ahead": p(do=sent("ahead", (-30 * DAY,), "quarantined"), refused=False, when=30 * HOUR),
        "behind": p(do=sent("behind", (30 * DAY, 40 * DAY), "accepted"), refused=False, when=30 * HOUR),
        "backlog": p(do=sent("backlog", [60 * HOUR + n * HOUR for n in range(20)], "accepted"), refused=False,
                     when=30 * HOUR),
        "other-parameter": p(do=sent("other-parameter", (MINUTE,), "accepted", "8867-4", "/min"), refused=False,
                             when=30 * HOUR),
        "impossible": p(do=sent("impossible", (MINUTE,), "quarantined", value=0), refused=False, when=30 * HOUR),
        "other-device": p(do=sent("other-device", (MINUTE,), "rejected", device="D-ahead"), refused=False,
                          when=30 * HOUR),
        "other-organization": p(do=sent("other-organization", (MINUTE,), "rejected", token=OTHER), refused=False,
                                when=30 * HOUR),
    }
    for login in LOGINS:
        if login != "vigie_registry":
            ref = "insert-" + login
            table[ref] = p(do=sql(login, rule_sql("patient", ref, dict(SILENCE, max_gap="31d"))), refused=True)
            table["suspend-" + login] = p(do=sql(login, suspension_sql("suspend-" + login, "2026-12-20")), refused=True)
        for place in ("rule_version", "suspension", "patient"):
            ref = "delete-%s-%s" % (place, login)
            table[ref] = p(do=sql(login, "DELETE FROM vigie." + place), refused=True)
    return table


# ------------------------------------------------------------------------------------------------------ tests

@functools.lru_cache(None)
def site():
    return sites.Site("silence-attacks", settings={"node": {"test_clock": check.to_text(START)}})


def tear_down():
    if site.cache_info().currsize:
        site().close()


def raised():
    site().node.wait_drained("postgres")
    rows = site().cluster.query("SELECT payload FROM vigie.alert_event WHERE payload->>'class' = 'silence' AND event = "
                                "'raised'", database="vigie")
    return {row[0]["patient"]: (check.to_ms(row[0]["raised_at"]), check.to_ms(row[0]["decided_at"])) for row in rows}


def enrolled():
    rows = site().cluster.query("SELECT ref, enrolled_at FROM vigie.patient", database="vigie")
    return {ref: check.to_ms(at) for ref, at in rows}


def test_every_attack_fails_and_silence_is_raised_on_time():
    table, rows = attacks(), sites.organization_rows() + sites.organization_rows("ORG-B") + [
        sites.rule_row(SILENCE), sites.rule_row(sites.WEIGHT), sites.system_row("sys-a", TOKEN),
        sites.system_row("sys-b", OTHER, "ORG-B")]
    for ref in list(table) + ["duplicate", "chain"]:
        people = sites.patient_rows(ref)
        del people[0]["enrolled_at"]
        rows += people
    site().node.import_rows(rows)
    site().begun = enrolled()
    sent("duplicate", (MINUTE,), "accepted")()
    last = check.to_ms(site().node.clock()["now"])
    for when in sorted({row.get("when", 0) for row in table.values()}):
        if when:
            site().node.clock({"set": check.to_text(START + when)})
            body = message("duplicate", check.to_text(last - MINUTE), ("29463-7", 70, "kg"))
            base.equal(site().node.https(TOKEN).readings(body).json()["duplicate"], 1)
        for ref, row in table.items():
            if row.get("when", 0) == when:
                refused = row["do"]()
                base.check(row["refused"] in (None, refused), "attack", ref, "refused:", refused)
        if not when:
            time.sleep(1.5)  # what was written into the tables is found, and refused
            site().node.settings["node"].pop("test_clock")
            site().node.write_config()
            site().node.kill()
            site().node.start()
    site().node.clock({"set": check.to_text(max(site().begun.values()) + GAP + 2000)})
    found = raised()
    for ref in list(table) + ["duplicate"]:
        base.check(ref in found, "no silence of", ref)
        at, decided = found[ref]
        due = (last if ref == "duplicate" else site().begun[ref]) + GAP
        base.check(due <= at <= due + 1500, "silence of", ref, "raised", at - due, "ms after it was due")  # one restart
        base.check(1 <= decided - at <= 1000, "decided", decided - at, "ms after", ref)


def test_what_is_open_cannot_be_shelved_or_muted():
    site().node.wait_drained("postgres")
    episode = site().cluster.query("SELECT episode_id::text FROM vigie.alert WHERE class = 'silence' AND state = 'open' "
                                   "LIMIT 1", database="vigie")[0][0]
    control = site().node.control()
    for verb in ("shelve", "mute", "close", "clear"):
        answer = control.post("/v1/alerts/%s/%s" % (episode, verb), {"reason": "x", "until": "2027-01-01T00:00:00Z"})
        base.check(answer.status >= 400, verb, answer)
    control.close()


def test_a_chain_of_suspensions_ends():
    """31 days are given once; the next needs a physician; the patient is noticed at the end of the 31 days."""
    now = check.to_ms(site().node.clock()["now"]) - START
    sent("chain", (MINUTE,), "accepted")()
    begin = check.to_ms(site().node.clock()["now"])
    base.equal(imported(suspension("chain", now, now + 31 * DAY - HOUR)), False, "the first is given")
    site().node.clock({"advance": "20d"})
    base.equal(imported(suspension("chain", now + 20 * DAY, now + 45 * DAY)), True, "overlapping")
    base.equal(imported(suspension("chain", now + 32 * DAY, now + 50 * DAY)), True, "behind it")
    base.equal(sql("vigie_registry", suspension_sql("chain", check.to_text(START + now + 50 * DAY),
                                                    begin=check.to_text(START + now + 25 * DAY)))(), True, "by SQL")
    site().node.clock({"set": check.to_text(begin + 31 * DAY - HOUR + GAP + 2000)})
    at = raised()["chain"][0]
    base.check(0 <= at - (begin + 31 * DAY - HOUR + GAP) <= 1500, "raised", at - begin)
    base.equal(imported(suspension("chain", now + 33 * DAY, now + 50 * DAY, author="Dr A", role="physician")), False)
    site().node.wait_drained("postgres")
    told = site().cluster.query("SELECT count(*) FROM vigie.alert WHERE rule_id = 'technical.suspension-too-long'",
                                database="vigie")
    base.equal(told, [(1,)], "a physician may, and it is told")


def test_rules_do_not_vanish_with_their_rows():
    """The owner deletes everything; the rule stays in force, over a restart too, and the node says so."""
    begin = check.to_ms(site().node.clock()["now"])
    sent("backlog", (0,), "accepted")()
    site().cluster.query("WITH gone AS (DELETE FROM vigie.suspension) DELETE FROM vigie.rule_version WHERE rule_id = "
                         "'test.silence' RETURNING 1", database="vigie")
    site().node.kill()
    site().node.start()
    site().node.clock({"set": check.to_text(begin + GAP + 2000)})
    base.wait_for("the registry is behind", lambda: site().cluster.query(
        "SELECT 1 FROM vigie.alert WHERE rule_id = 'technical.registry-behind' AND state = 'open'",
        database="vigie"), 10)
    at = raised()["backlog"][0]
    base.check(0 <= at - (begin + GAP) <= 1500, "raised", at - begin - GAP)
