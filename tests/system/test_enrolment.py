"""Changes of the registry against readings that fly: nobody is judged without rules, no right outlives its end."""
import hashlib
import json
import threading
import time

from tests.harness import base, check, site as sites

PATIENTS, STEP, WINDOW = 1000, 10, 40
TOKEN = "token-of-the-race"
RULE = dict(sites.GLUCOSE, id="own.glucose", levels=[{"priority": "high", "above": 300}], hysteresis=0)
BREACH = ("2339-0", 400, "mg/dL")
AHEAD = 60000  # measured a minute ahead: behind every commit, so that a version without valid_from judges it
PLACE = {}


def place():
    if not PLACE:
        PLACE["site"] = sites.Site("enrolment")
        PLACE["site"].node.import_rows(sites.organization_rows() + [sites.rule_row(sites.SILENCE), sites.system_row("sys", TOKEN)])
    return PLACE["site"]


def tear_down():
    if PLACE:
        PLACE["site"].close()


def now():
    return int(time.time() * 1000)


def token_of(ref):
    return "token-of-" + ref


def person(ref, valid_from):
    return [{"type": "patient", "ref": ref, "organization": "ORG-A", "line": sites.LINE, "time_zone": "Europe/Paris"},
            {"type": "device", "ref": "D-" + ref, "kind": "meter"},
            {"type": "assignment", "device": "D-" + ref, "patient": ref, "from": "2026-01-01T00:00:00Z", "to": None},
            {"type": "source", "ref": "S-" + ref, "kind": "device", "devices": ["D-" + ref],
             "token_sha256": hashlib.sha256(token_of(ref).encode()).hexdigest()},
            sites.rule_row(RULE, valid_from, patient=ref)]


SQL = """WITH p AS (INSERT INTO vigie.patient (ref, organization_id, line, time_zone)
               SELECT %(ref)s, organization_id, %(line)s, 'Europe/Paris' FROM vigie.organization WHERE ref = 'ORG-A'
               RETURNING patient_id),
          d AS (INSERT INTO vigie.device (ref, kind) VALUES ('D-' || %(ref)s, 'meter') RETURNING device_id),
          a AS (INSERT INTO vigie.device_assignment (device_id, patient_id, from_at)
               SELECT device_id, patient_id, '2026-01-01T00:00:00Z' FROM d, p),
          s AS (INSERT INTO vigie.source (ref, kind, token_sha256)
               VALUES ('S-' || %(ref)s, 'device', sha256(%(token)s)) RETURNING source_id),
          l AS (INSERT INTO vigie.source_device (source_id, device_id) SELECT source_id, device_id FROM s, d)
     INSERT INTO vigie.rule_version (layer, scope, rule_id, version, line, requested_from, author, role, reason, rule)
     VALUES ('patient', %(ref)s, %(id)s, 1, %(line)s, %(from)s, 'Dr Test', 'physician', 'test', %(rule)s)"""


def enrol_by_sql(cursor, ref, valid_from):
    cursor.execute(SQL, {"ref": ref, "line": sites.LINE, "token": token_of(ref).encode(), "id": RULE["id"],
                         "from": valid_from, "rule": json.dumps(RULE)})


class Hammer(threading.Thread):
    """Sends a breaching reading for everybody about to be enrolled, over and over; what was accepted is remembered."""

    def __init__(self, race, number):
        super().__init__(daemon=True)
        self.race, self.number, self.accepted, self.early, self.faults = race, number, {}, 0, []

    def note(self, ref, at):
        """With what the key of the reading has as device: the source `sys`, or the patient's device."""
        self.accepted.setdefault(ref, []).append((self.number < 2, at))

    def by_system(self, client, refs):
        at = now() + AHEAD + self.number
        answer = client.readings([sites.message(ref, check.to_text(at), BREACH) for ref in refs])
        body = answer.json()
        if answer.status not in (200, 422):
            self.faults.append(repr(answer))
        refused = {item["message"]: item["code"] for item in body.get("rejected", ())}
        if answer.status == 422:
            refused = dict.fromkeys(range(len(refs)), body.get("code", "unknown-patient"))
        for index, ref in enumerate(refs):
            if index not in refused:
                self.note(ref, at)
            elif refused[index] != "unknown-patient":
                self.faults.append("%s %r" % (ref, refused[index]))
        self.early += len(refused)

    def by_device(self, client, refs):
        for ref in refs[::5]:
            at = now() + AHEAD + self.number
            body = sites.message(ref, check.to_text(at), BREACH)
            del body["patient"]
            client.token = token_of(ref)
            answer = client.readings(body)
            if answer.status == 200:
                self.note(ref, at)
            elif answer.status == 401:
                self.early += 1
            else:
                self.faults.append(repr(answer))

    def run(self):
        client = self.race.node.http(TOKEN)
        while not self.race.over:
            middle = self.race.at
            refs = self.race.refs[max(0, middle - WINDOW // 2):middle + WINDOW // 2]
            (self.by_system if self.number < 2 else self.by_device)(client, refs)
        client.close()


class Race:
    def __init__(self, node):
        self.node, self.at, self.over = node, 0, False
        self.refs = ["P-%d" % number for number in range(PATIENTS)]
        self.hammers = [Hammer(self, number) for number in range(3)]

    def run(self, cluster):
        import psycopg2
        connection, control = psycopg2.connect(cluster.conninfo("vigie")), self.node.control()
        for hammer in self.hammers:
            hammer.start()
        for self.at in range(0, PATIENTS, STEP):
            refs, valid_from = self.refs[self.at:self.at + STEP], (None, "2020-01-01T00:00:00Z")[self.at // STEP % 2]
            if self.at // STEP % 4 < 2:
                rows = [row for ref in refs for row in person(ref, valid_from)]
                # a right that ends beside them: its snapshot goes out first, and must not show those who are new
                rows.append(sites.system_row("turn", "turn-%d" % self.at))
                answer = control.post("/v1/import", b"".join(json.dumps(row).encode() + b"\n" for row in rows))
                base.equal(answer.status, 200, answer)
            else:
                with connection, connection.cursor() as cursor:
                    for ref in refs:
                        enrol_by_sql(cursor, ref, valid_from)
                time.sleep(0.03)
        base.wait_for("the last is known", lambda: any(self.refs[-1] in hammer.accepted for hammer in self.hammers), 5)
        self.over = True
        for hammer in self.hammers:
            hammer.join()


def test_no_reading_is_judged_without_the_rules_of_its_patient():
    race = Race(place().node)
    race.run(place().cluster)
    for hammer in race.hammers:
        base.equal(hammer.faults[:3], [], "answers")
        base.check(hammer.early > 100, "the race was one: refused before the enrolment", hammer.early)
    accepted = {ref: sorted(at for hammer in race.hammers for at in hammer.accepted.get(ref, ())) for ref in race.refs}
    base.equal([ref for ref in race.refs if not accepted[ref]], [], "patients without an accepted reading")
    place().node.wait_drained("postgres")
    rows = place().cluster.query(
        "SELECT p.ref, count(*), min(e.decided_at) = (SELECT min(r.received_at) FROM vigie.reading r WHERE r.patient_id = "
        "p.patient_id), (SELECT count(*) FROM vigie.reading r WHERE r.patient_id = p.patient_id) "
        "FROM vigie.alert_event e JOIN vigie.alert a USING (episode_id) JOIN vigie.patient p USING (patient_id) "
        "WHERE e.event = 'raised' AND a.rule_id = 'own.glucose' GROUP BY p.ref, p.patient_id", (), "vigie")
    base.equal(len(rows), PATIENTS, "patients alerted")
    base.equal([row[0] for row in rows if not row[2]], [], "raised in the turn of the first accepted reading")
    base.equal([row[0] for row in rows if row[3] != len(set(accepted[row[0]]))], [], "stored is what was accepted")
    with open(place().node.log) as file:
        base.check("unknown patient" not in file.read(), "a shard was asked about a patient that it did not know")


class Holder(threading.Thread):
    """Uses a right without pause over a kept connection: (begun, status) of each request."""

    def __init__(self, token, body):
        super().__init__(daemon=True)
        self.token, self.body, self.over, self.seen = token, body, False, []

    def run(self):
        client = place().node.http(self.token)
        while not self.over:
            begun, at = time.monotonic(), now() + AHEAD
            status = client.readings(dict(self.body, time=check.to_text(at))).status
            self.seen.append((begun, status))
        client.close()


def withdraw(token, body, change, grace, expected):
    """What began later than `grace` seconds behind the end of the change was refused, whatever flew meanwhile."""
    holders = [Holder(token, body), Holder(token, body)]
    for holder in holders:
        holder.start()
    base.wait_for("in use", lambda: all(len(holder.seen) > 3 for holder in holders), 5, 0.005)
    change()
    ended = time.monotonic()
    time.sleep(grace + 0.05)
    for holder in holders:
        holder.over = True
        holder.join()
        base.equal({status for begun, status in holder.seen if begun < ended} - {expected}, {200}, "before")
        late = [(round(begun - ended, 4), status) for begun, status in holder.seen if begun > ended + grace]
        base.check(late and all(status == expected for _, status in late), "the right ended", late[:5])


def test_no_right_outlives_the_answer_of_its_withdrawal():
    node, token, ref = place().node, TOKEN, "W-1"
    node.import_rows(person(ref, None) + [sites.gateway_row("gw", "token-of-gw", ["D-" + ref]),
                                             sites.gateway_row("gw-2", "token-of-gw-2", ["D-" + ref])])
    reading = {"readings": [dict(zip(("code", "value", "unit"), BREACH))]}
    issued = token_of(ref)
    for _ in range(5):
        before, box = issued, []
        withdraw(before, reading, lambda: box.append(node.ctl("token", "issue", "S-" + ref).strip()), 0, 401)
        issued = box[0]
    query = lambda sql: place().cluster.query(sql, (), "vigie")
    named = dict(reading, device="D-" + ref)
    withdraw("token-of-gw", named, lambda: query("DELETE FROM vigie.source_device WHERE source_id = (SELECT source_id "
                                                 "FROM vigie.source WHERE ref = 'gw')"), 1, 403)
    withdraw("token-of-gw-2", named,
             lambda: query("DELETE FROM vigie.device_assignment WHERE device_id = (SELECT device_id FROM vigie.device "
                           "WHERE ref = 'D-%s')" % ref), 1, 422)
    left = {"type": "left", "patient": ref, "at": check.to_text(now()), "reason": "test"}
    withdraw(token, dict(reading, patient=ref), lambda: node.import_rows([left]), 0, 422)
    node.import_rows([sites.system_row("sys-2", "token-of-sys-2")] + person("W-2", None))
    withdraw("token-of-sys-2", dict(reading, patient="W-2"),
             lambda: query("DELETE FROM vigie.source WHERE ref = 'sys-2'"), 1, 401)
