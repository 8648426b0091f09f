"""The loader against a real PostgreSQL: exactly once over crashes of either side, duplicates, poisoned rows, fences."""
import glob
import json
import os
import subprocess

from tests.harness import base, pg

T = 1796083200000  # 2026-12-01T00:00:00Z, a Tuesday
DAY = 86400000
RAISED, LIVE, ESCALATED, CLEARED, ACKNOWLEDGED, HANDLED, SHELVED, UNSHELVED, AMENDED, CANCELLED = 0, 1, 2, 4, 5, 6, 7, 8, 11, 12
FINAL, CORRECTED, VOID = 1, 2, 3
NOTHING = '{"command":"registry","version":1}'
CHECK_OLDER = 8


def build():
    program = os.path.join(base.BUILD, "test", "loader_drive")
    os.makedirs(os.path.dirname(program), exist_ok=True)
    packages = ["libpq", "jansson", "openssl", "libxxhash"]
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs"] + packages).decode().split()
    subprocess.check_call(["gcc", "-std=c17", "-D_GNU_SOURCE", "-g", "-O1", "-I.",
                           "tests/integration/loader_drive.c", os.path.join(base.BUILD, "libvigie.a"), "-o", program]
                          + os.environ.get("SANITIZE", "").split() + flags + ["-lpthread"], cwd=base.ROOT)
    return program


class Drive:
    def __init__(self, directory, conninfo, migrate_conninfo=""):
        self.log = open(os.path.join(directory, "drive.log"), "ab")
        self.child = subprocess.Popen([build(), directory, conninfo, migrate_conninfo or conninfo],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)

    def say(self, line):
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline().decode().strip()
        base.check(answer, "loader_drive ended at:", line)
        return answer

    def reading(self, **fields):
        return self.say("reading " + " ".join("%s=%s" % field for field in fields.items()))

    def event(self, episode, sequence, kind, **payload):
        return self.say("event %d %d %d %s" % (episode, sequence, kind, json.dumps(payload, separators=(",", ":"))))

    def loaded(self, seconds=30):
        self.say("commit")
        base.equal(self.say("wait %d" % seconds), "lag=0 state=1", "figures of the loader")

    def kill(self):
        self.child.kill()
        self.child.wait()

    def close(self):
        self.child.stdin.close()
        base.equal(self.child.wait(30), 0, "exit of loader_drive")


class Site:
    """A cluster, a login without any right of its own, a migrated database and an enrolled patient."""

    def __init__(self, name):
        self.directory = base.work_directory(name)
        self.cluster = pg.Cluster(os.path.join(self.directory, "pg")).start()
        self.cluster.psql("CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'x'")
        self.cluster.psql("CREATE ROLE daemon LOGIN PASSWORD 'x'")
        self.cluster.psql("CREATE DATABASE vigie OWNER maker")
        where = "host=127.0.0.1 port=%d dbname=vigie password=x" % self.cluster.port
        self.maker, self.login = where + " user=maker", where + " user=daemon"
        self.drive = self.new_drive()
        answer = self.drive.say("migrate")
        base.check("applied 001_schema" in answer and "pending" not in answer, answer)

    def new_drive(self):
        return Drive(self.directory, self.login, self.maker)

    def sql(self, statement):
        return self.cluster.query(statement, database="vigie")

    def one(self, statement):
        return self.sql(statement)[0][0]

    def __enter__(self):
        return self

    def __exit__(self, *trouble):
        if self.drive.child.poll() is None:
            self.drive.kill()
        self.cluster.stop()


def test_migration_is_idempotent_and_needs_no_superuser():
    with Site("loader-migrate") as site:
        answer = site.drive.say("migrate")
        base.check("applied" not in answer, "a second run applies nothing:", answer)
        base.check("pending" not in answer and "OK" in answer, answer)
        files = glob.glob(os.path.join(base.ROOT, "storage/migrations/[0-9]*.sql"))
        base.equal(site.one("SELECT count(*) FROM vigie.migration"), len(files) - 1, "migrations; 000 makes their table")
        base.check(site.one("SELECT count(*) FROM vigie.parameter") > 0, "parameters")
        site.sql("UPDATE vigie.migration SET sha256 = 'other' WHERE number = 2")
        answer = site.drive.say("migrate")
        base.check("CORRUPT" in answer, "a changed migration is refused:", answer)


def test_readings_quarantine_and_partitions():
    with Site("loader-readings") as site:
        site.drive.say("start 1 20000")
        site.drive.loaded()
        site.drive.reading(patient=1, value=71400000, measured=T, received=T + 1, context='{"a":1}', sensor="s1")
        site.drive.reading(patient=2, value=-1000000, measured=T, received=T + 1, quarantine=1)
        site.drive.reading(patient=1, value=1, measured=T, received=T + 30 * DAY)
        site.drive.loaded()
        base.equal(site.sql("SELECT patient_id, value, comparator, sensor, origin, status, time_precision, key_device,"
                            " context::text, issued, alias, device_id, extract(epoch FROM measured_at)::bigint"
                            " FROM vigie.reading WHERE sensor = 's1'"),
                   [(1, 71400000, "", "s1", "automatic", "final", "time", "SN-1", '{"a":1}', None, None, None, T // 1000)],
                   "row")
        base.equal(site.sql("SELECT patient_id, value, reason, original->>'key_device' FROM vigie.quarantine"),
                   [(2, -1000000, "impossible", "SN-1")], "quarantine")
        names = [row[0] for row in site.sql("SELECT inhrelid::regclass::text FROM pg_inherits ORDER BY 1")]
        base.check("vigie.reading_20261130" in names and "vigie.reading_20261214" in names, "made ahead:", names)
        base.check("vigie.reading_20261228" in names, "made for a jump of engine time:", names)


def test_older_duplicates_and_revisions():
    with Site("loader-older") as site:
        site.drive.say("start 1 20000")
        old = dict(patient=1, value=5, measured=T - 90 * DAY, received=T, flags=CHECK_OLDER)
        site.drive.reading(**old)
        site.drive.reading(**dict(old, received=T + 1))                                # twice in one batch
        site.drive.reading(**dict(old, received=T + 2, status=VOID, issued=T))         # a version of its own
        site.drive.loaded()
        site.drive.reading(**dict(old, received=T + 3))                                # against the table
        site.drive.reading(**dict(old, received=T + 4, status=VOID, issued=T))
        site.drive.reading(**dict(old, received=T + 5, status=CORRECTED, issued=T + 9))
        site.drive.reading(**dict(old, patient=2, received=T + 5, quarantine=2))
        site.drive.loaded()
        site.drive.reading(**dict(old, patient=2, received=T + 6, quarantine=2))       # against the quarantine
        site.drive.loaded()
        base.equal(site.sql("SELECT revision, status FROM vigie.reading ORDER BY 1"),
                   [(0, "final"), (1, "void"), (2, "corrected")], "versions")
        base.equal(site.one("SELECT count(*) FROM vigie.quarantine"), 1, "quarantined")
        base.equal(site.sql("SELECT patient_id, value, readings, extract(epoch FROM received_at)::bigint * 1000"
                            " FROM vigie.late_resend ORDER BY request_position"),
                   [(1, 5, 1, T), (1, 5, 1, T), (1, 5, 1, T)], "resends, for the alert that counted them")
        base.equal(site.one("SELECT count(*) FROM (SELECT 1 FROM vigie.reading GROUP BY reading_id, revision"
                            " HAVING count(*) > 1) d"), 0, "pairs of id and revision that exist twice")


def test_a_poisoned_row_costs_only_itself():
    with Site("loader-poison") as site:
        for i in range(200):
            site.drive.reading(patient=1 + i % 7, value=i, measured=T + i, received=T + i,
                               **({"context": "{broken"} if i == 123 else {}))
        site.drive.event(1, 1, RAISED, state="open")
        site.drive.say('event 2 1 0 {"state":broken}')
        site.drive.say("start 1 20000")
        site.drive.loaded()
        base.equal(site.one("SELECT count(*) FROM vigie.reading"), 199, "readings")
        base.equal(site.one("SELECT count(*) FROM vigie.alert_event"), 1, "events")
        base.equal(site.sql("SELECT code, text, count(*) FROM vigie.rejected GROUP BY 1, 2"),
                   [("not-storable", "22P02", 2)], "put aside")


def test_a_quarantined_reading_is_settled_once():
    """The row and the reading that was released in one transaction; whatever the journal says later changes neither."""
    with Site("loader-release") as site:
        for i in range(3):
            site.drive.reading(patient=1, value=-1 - i, measured=T, received=T + i, quarantine=1)
        site.drive.say("start 1 1")  # batches of a row: a command and its reading are never cut
        site.drive.loaded()
        rows = site.sql("SELECT quarantine_id, reading_id::text, value FROM vigie.quarantine ORDER BY value DESC")

        def words(command, row):
            time = "2026-12-01T00:00:00.%03dZ"
            return json.dumps({"command": command, "patient_id": 1, "reading_id": row[1], "quarantine_id": row[0],
                               "measured_at": time % 0, "received_at": time % (-1 - row[2]), "issued": None, "status": "final"})

        def settle(command, row, at):
            site.drive.say("commit")  # a turn of its own, which begins with its time
            site.drive.say("clock %d" % at)
            site.drive.say("command " + NOTHING)  # the turn has its time
            if command == "release":
                site.drive.reading(patient=1, value=row[2], measured=T, received=T - 1 - row[2], flags=256)
            site.drive.say("command " + words(command, row))

        def told():
            site.drive.loaded()
            return (site.sql("SELECT extract(epoch FROM released_at)::bigint, extract(epoch FROM discarded_at)::bigint"
                             " FROM vigie.quarantine ORDER BY value DESC"),
                    site.sql("SELECT value, flags FROM vigie.reading ORDER BY value DESC"),
                    site.one("SELECT count(*) FROM vigie.late_resend"))

        hold = site.cluster.session("vigie")
        hold.cursor().execute("LOCK TABLE vigie.reading IN SHARE MODE")
        settle("release", rows[0], T + 1000)
        settle("discard", rows[1], T + 2000)
        site.drive.say("commit")
        base.wait_for("the loader waits for the lock", lambda: site.one(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'vigie.reading'::regclass"))
        base.equal(site.one("SELECT count(*) FROM vigie.quarantine WHERE released_at IS NOT NULL"), 0, "not before the reading")
        site.drive.kill()
        hold.close()
        site.drive = site.new_drive()
        site.drive.say("start 2 1")
        first = told()
        base.equal(first, ([(T // 1000 + 1, None), (None, T // 1000 + 2), (None, None)], [(-1, 256)], 0), "settled")
        for command, row in (("release", rows[0]), ("discard", rows[0]), ("release", rows[1]), ("discard", rows[1])):
            settle(command, row, T + 9000)
        base.equal(told(), first, "once")
        base.equal(site.sql("SELECT action, detail->>'quarantine_id' FROM audit.event ORDER BY event_id"),
                   [("quarantine.release", str(rows[0][0])), ("quarantine.discard", str(rows[1][0]))], "audited, once")
        settle("release", rows[2], T + 10000)
        base.equal(told()[1], [(-1, 256), (-3, 256)], "the other")
        site.drive.close()


def test_what_is_rejected_is_sealed_and_kept_for_thirty_days():
    """What the journal has of it and rows that cannot be stored; neither is to be read in the database."""
    with Site("loader-rejected") as site:
        site.drive.reading(patient=1, value=1, measured=T, received=T, context="{broken-kanarie")
        site.drive.say("rejected 7 unit-mismatch payload kanarie 1")
        site.drive.say("rejected 0 malformed payload kanarie 22")
        site.drive.say("start 1 20000")
        site.drive.loaded()
        rows = site.sql("SELECT source_id, code, text, original, extract(epoch FROM received_at)::bigint * 1000"
                        " FROM vigie.rejected ORDER BY code")
        base.equal([row[:3] + row[4:] for row in rows],
                   [(None, "malformed", "words of ours", T), (5, "not-storable", "22P02", T),
                    (7, "unit-mismatch", "words of ours", T)], "rows")
        base.equal([b"kanarie" in bytes(row[3]) for row in rows], [False] * 3, "what was sent is not to be read")
        base.equal([len(row[3]) for row in rows][::2], [52 + len("payload kanarie 22"), 52 + len("payload kanarie 1")],
                   "head and text")
        base.equal(len({bytes(row[3])[4:36] for row in rows}), 3, "salts")
        base.equal(site.one("SELECT has_table_privilege('vigie_loader', 'vigie.rejected', 'DELETE, UPDATE, TRUNCATE')"), False,
                   "rights to more than the function does")
        for after, left in ((29 * DAY, 3), (30 * DAY, 3), (30 * DAY + 3600001, 0)):
            site.drive.say("clock %d" % (T + after))
            site.drive.loaded()
            base.wait_for("%d rows after %d ms" % (left, after),
                          lambda: site.one("SELECT count(*) FROM vigie.rejected") == left, 10)
        site.drive.close()


def test_what_a_replay_needs():
    """Which readings came together, commands with their bytes and times, the first tick of each process."""
    rule = '{"command":"rule", "layer":"patient","scope":1,"rule":{"above":1.10}}'
    with Site("loader-replay") as site:
        site.drive.say("start 1 2")  # batches of two rows: a request is never cut
        for patient, count in ((1, 3), (3, 1), (1, 2)):
            for i in range(count):
                site.drive.reading(patient=patient, value=patient * 10 + i, measured=T + 100 * count + i, received=T,
                                   following=count - 1 - i, quarantine=1 if i == 1 else 0)
        site.drive.say("command " + rule)
        site.drive.say('command {"command":"registry","version":7}')
        site.drive.say('command {"command":"patient","patient_id":"broken"}')
        site.drive.say('command {"command":"acknowledge","episode":"01000000-0000-0000-0000-000000000000"}')
        site.drive.loaded()
        rows = site.sql("SELECT patient_id, request_index, request_position, value FROM vigie.reading UNION ALL"
                        " SELECT patient_id, request_index, request_position, value FROM vigie.quarantine"
                        " ORDER BY request_position, request_index")
        base.equal([row[:2] + row[3:] for row in rows], [(1, 0, 10), (1, 1, 11), (1, 2, 12), (3, 0, 30), (1, 0, 10), (1, 1, 11)],
                   "readings in the order in which they came")
        base.equal([rows[0][2] == rows[2][2], rows[2][2] < rows[3][2], rows[3][2] < rows[4][2], rows[4][2] == rows[5][2]],
                   [True] * 4, "places")
        base.equal(site.sql("SELECT command, patient_id, episode_id::text, payload::text,"
                            " extract(epoch FROM decided_at)::bigint FROM vigie.journal_command ORDER BY position"),
                   [("rule", 1, None, rule, T // 1000),
                    ("registry", None, None, '{"command":"registry","version":7}', T // 1000),
                    ("acknowledge", None, "01000000-0000-0000-0000-000000000000",
                     '{"command":"acknowledge","episode":"01000000-0000-0000-0000-000000000000"}', T // 1000)],
                   "commands")
        base.equal(site.one("SELECT count(*) FROM vigie.rejected"), 1, "the broken command is put aside")
        site.drive.say("stop")
        site.drive.say("tick 3600")
        site.drive.say("start 2 100")
        site.drive.loaded()
        base.equal(site.sql("SELECT shard, extract(epoch FROM since)::bigint, extract(epoch FROM engine_at)::bigint, up_ms,"
                            " kind FROM vigie.engine_start"), [(1, T // 1000, T // 1000 + 3600, 0, 1)], "starts")
        site.drive.close()


def test_exactly_once_over_kills_of_both_sides():
    """Each round a lock stops the loader inside its transaction, behind the cursor and before the rows."""
    try:
        import psycopg2
    except ImportError:
        raise base.Unavailable("python3-psycopg2 is not installed: tests/deps.sh")
    with Site("loader-kills") as site:
        sent = 0
        for round_ in range(6):
            site.drive.say("start %d 700" % (round_ + 1))
            site.drive.say("many 2000 %d" % (T + sent))
            site.drive.loaded()
            hold = psycopg2.connect(site.cluster.conninfo("vigie"))
            hold.cursor().execute("LOCK TABLE vigie.reading IN SHARE MODE")
            site.drive.say("many 3000 %d" % (T + sent + 2000))
            sent += 5000
            base.wait_for("the loader waits for the lock", lambda: site.one(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'vigie.reading'::regclass"))
            if round_ % 2 == 0:
                site.cluster.restart("immediate")
                site.drive.say("stop")
            else:
                site.drive.kill()
                site.drive = site.new_drive()
            hold.close()
        site.drive.say("start 7 20000")
        site.drive.loaded(60)
        base.equal(site.sql("SELECT count(*), count(DISTINCT reading_id), count(DISTINCT measured_at) FROM vigie.reading"),
                   [(sent, sent, sent)], "rows, distinct rows, distinct times")
        site.drive.close()


def test_fences():
    with Site("loader-fences") as site:
        site.drive.say("start 5 20000")
        site.drive.reading(patient=1, value=1, measured=T, received=T)
        site.drive.loaded()
        site.sql("UPDATE vigie.journal_cursor SET epoch = 6")
        site.sql("UPDATE vigie.node_lease SET epoch = 6")
        site.drive.reading(patient=1, value=2, measured=T, received=T)
        site.drive.say("commit")
        base.equal(site.drive.say("wait 2")[-7:], "state=2", "an older epoch is stuck")
        base.equal(site.one("SELECT count(*) FROM vigie.reading"), 1, "nothing written behind the fence")
        site.drive.say("stop")
        site.drive.say("start 7 20000")
        site.drive.loaded()
        base.equal(site.one("SELECT count(*) FROM vigie.reading"), 2, "rows after a newer start")
        site.drive.say("stop")
        site.sql("UPDATE vigie.node_lease SET node = 78")
        site.drive.say("start 8 20000")
        base.equal(site.drive.say("wait 1")[-7:], "state=2", "a second node is stuck")


ALERT = ("SELECT state, priority, last_sequence, acknowledged_by, acknowledged_at IS NOT NULL, handled_outcome,"
         " retrospective, readings_in_breach, cleared_at IS NOT NULL, rule_id, rule_version, side, class"
         " FROM vigie.alert WHERE episode_id = '%02x000000-0000-0000-0000-000000000000'")


def test_alerts_follow_their_events():
    rule = {"id": "hf.weight", "version": 3}
    base_payload = dict(rule=rule, side="high", priority="medium", state="open", raised_at="2026-12-01T00:00:00.000Z",
                        cleared_at=None, retrospective=True, reason=None, readings_in_breach=3)
    base_payload["class"] = "clinical"
    with Site("loader-alerts") as site:
        def after(episode, sequence, kind, **changes):
            site.drive.event(episode, sequence, kind, **dict(base_payload, **changes))
            site.drive.loaded()
            row = site.sql(ALERT % episode)[0]
            base.equal(row[9:], ("hf.weight", 3, "high", "clinical"), "rule")
            return row[:9]
        site.drive.say("start 1 20000")
        base.equal(after(1, 1, RAISED), ("open", "medium", 1, None, False, None, True, 3, False), "raised")
        base.equal(after(1, 2, ACKNOWLEDGED, author="Nurse B", retrospective=False),
                   ("open", "medium", 2, "Nurse B", True, None, True, 3, False), "acknowledged")
        base.equal(after(1, 3, LIVE, retrospective=False),
                   ("open", "medium", 3, None, False, None, False, 3, False), "live asks again")
        base.equal(after(1, 4, ACKNOWLEDGED, author="C"), ("open", "medium", 4, "C", True, None, False, 3, False), "again")
        base.equal(after(1, 5, ESCALATED, priority="high", readings_in_breach=4),
                   ("open", "high", 5, None, False, None, False, 4, False), "escalated")
        base.equal(after(1, 6, HANDLED, author="Dr A", outcome="relevant", priority="high"),
                   ("open", "high", 6, None, False, "relevant", False, 3, False), "handled")
        base.equal(after(1, 7, ACKNOWLEDGED, author="D"), ("open", "medium", 7, "D", True, "relevant", False, 3, False), "d")
        base.equal(after(1, 8, CLEARED, state="cleared", cleared_at="2026-12-02T00:00:00Z"),
                   ("cleared", "medium", 8, "D", True, "relevant", False, 3, True), "cleared")
        base.equal(after(1, 9, AMENDED, reason="reopened"),
                   ("open", "medium", 9, None, False, "relevant", True, 3, False), "reopened")
        base.equal(after(1, 10, ACKNOWLEDGED, author="E")[3], "E", "acknowledged")
        after(2, 1, RAISED)
        after(1, 11, CANCELLED, state="cancelled", reason="merged", into="02000000-0000-0000-0000-000000000000")
        base.equal(site.sql(ALERT % 2)[0][3], "E", "the acknowledgement goes on with the episode merged into")
        base.equal(after(2, 11, AMENDED, reason="reopened")[3], "E", "also when that opens again by it")
        base.equal(after(2, 12, SHELVED, until="2026-12-03T00:00:00Z", reason="known")[3], "E", "shelved")
        shelf = "SELECT shelved_until IS NOT NULL FROM vigie.alert WHERE episode_id = '02000000-0000-0000-0000-000000000000'"
        base.equal(site.one(shelf), True, "until then")
        after(2, 13, CLEARED, state="cleared", cleared_at="2026-12-02T00:00:00Z")
        base.equal(site.one(shelf), True, "after clearing too")
        for sequence, (kind, reason) in enumerate(((UNSHELVED, None), (AMENDED, "reopened"), (RAISED, "reinstated")), 7):
            after(2, 2 * sequence, SHELVED, until="2026-12-03T00:00:00Z", reason="known")
            base.equal(site.one(shelf), True, "shelved again")
            base.equal(after(2, 2 * sequence + 1, kind, reason=reason)[3] is None, kind != UNSHELVED, "asks again")
            base.equal(site.one(shelf), False, kind)
        base.equal(site.one("SELECT count(*) FROM vigie.alert_event"), 21, "events")
        base.equal(site.one("SELECT payload::text FROM vigie.alert_event WHERE sequence = 9"),
                   json.dumps(dict(base_payload, reason="reopened"), separators=(",", ":")), "bytes of a payload")


def test_views_show_the_winning_version_to_those_who_may_see_it():
    with Site("loader-views") as site:
        site.sql("INSERT INTO vigie.organization (organization_id, ref) VALUES (1, 'A'), (2, 'B')")
        site.sql("INSERT INTO vigie.patient (patient_id, ref, organization_id, line, time_zone, enrolled_at) VALUES"
                 " (1, 'P-1', 1, 'l', 'Europe/Paris', '2026-01-01'), (2, 'P-2', 2, 'l', 'Europe/Paris', '2026-01-01')")
        site.cluster.psql("CREATE ROLE dash LOGIN PASSWORD 'x' IN ROLE vigie_reader", "vigie")
        site.sql("INSERT INTO vigie.role_organization VALUES ('dash', 1)")
        base.equal(site.one("SELECT version FROM vigie.registry_state"), 2, "two transactions, two versions")
        site.drive.say("start 1 20000")

        def put(value, **fields):
            site.drive.reading(**dict(dict(patient=1, value=value * 1000000, measured=T, received=T), **fields))
        put(10), put(11, status=CORRECTED, issued=T, alias="x|1")           # by key: no reading carries the alias
        put(20, measured=T + 1, alias="x|2"), put(21, measured=T + 2, status=CORRECTED, issued=T, alias="x|2")
        put(30, measured=T + 3), put(30, measured=T + 3, status=VOID, issued=T, revision=1)
        put(40, measured=T + 4, status=0), put(41, measured=T + 4)          # final over preliminary
        put(50, measured=T + 5), put(51, measured=T + 5)                    # same instant: both
        put(60, measured=T + 6), put(61, measured=T + 6, status=CORRECTED, issued=T)
        put(62, measured=T + 6, status=CORRECTED, issued=T + 1), put(62, measured=T + 6, status=VOID, issued=T, revision=1)
        put(70, patient=2)
        site.drive.loaded()
        everyone = [float(row[0]) for row in site.sql("SELECT value FROM vigie.reading_current ORDER BY value")]
        base.equal(everyone, [11, 21, 41, 50, 51, 62, 70], "winning versions")
        reader = "postgresql://dash:x@127.0.0.1:%d/vigie" % site.cluster.port

        def read(statement):
            return subprocess.run(["psql", "-X", "-q", "-A", "-t", reader, "-c", statement], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL).stdout.decode().split()
        base.equal(read("SELECT value FROM vigie.reading_current ORDER BY value"),
                   ["11", "21", "41", "50", "51", "62"], "what organisation A's reader sees")
        base.equal(read("SELECT value FROM vigie.latest_reading WHERE patient = 'P-1'"), ["62"], "latest")
        base.equal(read("SELECT count(*) FROM vigie.readings('P-1', '2026-11-30', '2026-12-02')"), ["6"], "function")
        base.equal(read("SELECT count(*) FROM vigie.readings('P-2', '2026-11-30', '2026-12-02')"), ["0"], "other's")
        base.equal(read("SELECT readings, days_with_data FROM vigie.usage_month"), ["6|1"], "usage")
        for table in ("reading", "reading_20261130", "patient", "alert", "rule_version"):
            base.equal(read("SELECT 1 FROM vigie." + table), [], "no grant on vigie." + table)
