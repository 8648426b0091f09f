"""Days of silence by the test clock: the episodes are exactly those of RULES.md section 4.

Patients of three lines in six time zones, over the night on which Paris changes its clocks; readings that come, fail to
come, come twice, too late or from long ago; rules changed through the import and in PostgreSQL; suspensions; patients
who leave; kill -9, at once or with hours between. What was done is remembered here, and tests/oracle says what it
implies: nothing is asked of the daemon but the events that it told. `test_silence_days.py SEED DAYS PATIENTS` runs one
seed; `make campaign-silence` many."""
import json
import os
import random
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
from tests.harness import base, check, site as sites  # noqa: E402
from tests.oracle import oracle  # noqa: E402

PLAIN_ONLY = "one thread decides: nothing of it is new to a sanitizer"
TOKEN = "token-of-sys-a"
MINUTE, HOUR, DAY = 60000, oracle.HOUR, oracle.DAY
START = check.to_ms("2027-03-26T05:00:00Z")  # Paris changes its clocks on the 28th
ZONES = ["Europe/Paris", "Indian/Reunion", "America/Cayenne", "Pacific/Noumea", "Pacific/Marquesas",
         "America/Miquelon"]  # the last changed its clocks on the 14th
CODES = {"body-weight": ("29463-7", "kg"), "heart-rate": ("8867-4", "/min"), "spo2": ("59408-5", "%")}
LINES = {
    "gap": {"max_gap": "30h"},
    "days": {"missed_days": 2},
    "both": {"max_gap": "50h", "missed_days": 1, "day_start": "04:30", "grace": "2h"},
}


def rule_of(line, **changes):
    rule = {"id": "silence." + line, "line": line, "kind": "silence", "priority": "low",
            "parameters": ["body-weight", "heart-rate"], "text": {"fr": "Silence", "en": "Silence"}, "source": "test",
            "tag": "TEST"}
    return dict(rule, **LINES[line], **changes)


class Run:
    def __init__(self, seed, days, count):
        self.seed, self.end, self.dice = seed, START + days * DAY, random.Random(seed)
        self.people = {}       # ref: oracle.Patient
        self.line_of, self.versions, self.readings, self.sent = {}, {}, [], {}
        self.outages, self.raised_at = [], {}
        self.count = count
        self.counts = dict.fromkeys(("readings", "duplicates", "backlogs", "versions", "sql", "suspensions", "kills",
                                     "outages", "left"), 0)
        self.told_of = {}

    # -------------------------------------------------------------------------------------------- what is done

    def give(self, *rows, expect=200):
        control = self.site.node.control()
        answer = control.post("/v1/import", "".join(json.dumps(row) + "\n" for row in rows).encode(),
                              "application/x-ndjson")
        control.close()
        base.equal(answer.status, expect, answer, rows[-1])

    def enrol(self):
        dice, rows = self.dice, sites.organization_rows()
        for line in LINES:
            rows.append(sites.rule_row(rule_of(line), line=line))
            self.versions[line] = [oracle.Version(rule_of(line), "line", START, START)]
        for number in range(self.count):
            ref, line = "S-%d" % number, sorted(LINES)[number % 3]
            zone = dice.choice(ZONES)
            rows.append({"type": "patient", "ref": ref, "organization": "ORG-A", "line": line, "time_zone": zone})
            self.people[ref], self.line_of[ref] = oracle.Patient(ref, START, zone), line
            self.sent[ref] = []
        self.give(*rows, sites.system_row("sys-a", TOKEN))
        for ref, at in self.site.cluster.query("SELECT ref, enrolled_at FROM vigie.patient", database="vigie"):
            self.people[ref].enrolled_at = check.to_ms(at)
        self.habit = {ref: dice.choice((5, 12, 26, 40, 70)) * HOUR for ref in self.people}
        self.next = {ref: START + dice.randrange(40 * 60) * MINUTE for ref in self.people}

    def here(self, ref):
        return self.people[ref].left_at is None

    def post(self, ref, items):
        return self.client.readings({"patient": ref, "time": check.to_text(self.now), "readings": [
            dict(zip(("code", "unit"), CODES[parameter]), value=value, time=check.to_text(at))
            for parameter, at, value in items]})

    def send(self, ref):
        """One request: new readings, perhaps with what was sent before, perhaps only what is old."""
        dice, items, kind = self.dice, [], self.dice.random()
        if kind < 0.15 and self.sent[ref]:
            items = dice.sample(self.sent[ref], min(len(self.sent[ref]), dice.choice((1, 3))))
            self.counts["duplicates"] += 1
        if kind >= 0.08 or not items:
            ages = (dice.randrange(1, 50), 23 * 60 + dice.randrange(1, 200), dice.randrange(1, 5000))
            for age in [dice.choice(ages)] if kind < 0.8 else [dice.randrange(1500, 9000) for _ in range(6)]:
                parameter = dice.choice(("body-weight", "body-weight", "heart-rate", "spo2"))
                items.append((parameter, self.now - age * MINUTE, dice.choice((70, 71.5, 90))))
            self.counts["backlogs"] += kind >= 0.8
        answer = self.post(ref, items)
        told = answer.json()
        base.equal((answer.status, told["rejected"], told["quarantined"]), (200, [], 0), answer)
        for parameter, at, value in items:
            self.readings.append(oracle.Reading(ref, parameter, round(value * 1000000), at, self.now, "sys-a",
                                                source="sys-a", request=self.now))
            self.sent[ref].append((parameter, at, value))
        self.counts["readings"] += len(items)

    def version(self):
        """A new version of a line or of a patient, through the import or straight into the table."""
        dice = self.dice
        ref = dice.choice([ref for ref in self.people if self.here(ref)])
        line = self.line_of[ref]
        changes = {"priority": dice.choice(oracle.PRIORITIES)}
        if "max_gap" in LINES[line]:
            changes["max_gap"] = dice.choice(("20h", "30h", "55h", "4d"))
        if "missed_days" in LINES[line]:
            changes["missed_days"] = dice.choice((1, 2, 3))
        rule = rule_of(line)
        rule.update(changes)
        layer = "line" if dice.random() < 0.15 else "patient"
        scope = line if layer == "line" else ref
        if dice.random() < 0.4:
            rows = self.query("INSERT INTO vigie.rule_version (layer, scope, rule_id, version, line, author, role, reason,"
                              " rule) SELECT '%s', '%s', '%s', coalesce(max(version), 0) + 1, '%s', 'Dr S', 'physician',"
                              " 'by SQL', '%s' FROM vigie.rule_version WHERE layer = '%s' AND scope = '%s' AND rule_id ="
                              " '%s' RETURNING rule_version_id" % (layer, scope, rule["id"], line, json.dumps(rule), layer,
                                                                   scope, rule["id"]))
            base.wait_for("the version is in force", lambda: self.query(
                "SELECT committed_at FROM vigie.rule_version WHERE rule_version_id = %d" % rows[0][0])[0][0], 5, 0.02)
            self.counts["sql"] += 1
        else:
            self.give(sites.rule_row(rule, check.to_text(self.now), **{layer: scope}))
        new = oracle.Version(rule, layer, self.now, self.now, 2 + self.counts["versions"])
        self.versions.setdefault(scope, []).append(new)
        self.counts["versions"] += 1

    def suspend(self):
        dice = self.dice
        ref = dice.choice([ref for ref in self.people if self.here(ref)])
        begin = self.now + dice.choice((-5, 0, 0, 7, 20)) * HOUR
        until = max(begin, self.now) + dice.choice((3, 18, 30, 72)) * HOUR
        self.give({"type": "suspension", "patient": ref, "rule": "silence." + self.line_of[ref], "author": "Nurse B",
                   "from": check.to_text(begin), "until": check.to_text(until), "reason": "hospital stay",
                   "role": "physician"})
        self.people[ref].suspensions.append(("silence." + self.line_of[ref], max(begin, self.now), until))
        self.counts["suspensions"] += 1

    def leave(self):
        ref = self.dice.choice([ref for ref in self.people if self.here(ref)])
        self.give({"type": "left", "patient": ref, "at": check.to_text(self.now), "reason": "moved"})
        self.people[ref].left_at = self.now
        self.counts["left"] += 1

    def kill(self):
        node, gap = self.site.node, self.dice.choice((0, 0, 40 * MINUTE, 9 * HOUR, 33 * HOUR))
        node.settings["node"]["test_clock"] = check.to_text(self.now + gap)
        node.write_config()
        (node.kill if self.dice.random() < 0.7 else node.stop)()
        node.start()
        if gap:
            self.outages.append((self.now, self.now + gap))
            self.now += gap
        base.equal(check.to_ms(node.clock()["now"]), self.now, "the clock goes on where it was told")
        self.client = node.http(TOKEN)
        self.counts["kills"] += 1
        self.counts["outages"] += gap > 0

    def step(self):
        """To the next thing that somebody does."""
        due = min(self.next.values())
        self.now = max(self.now + 1, min(due, self.now + 5 * HOUR))
        self.site.node.clock({"set": check.to_text(self.now)})
        for ref in [ref for ref in self.people if self.next[ref] <= self.now]:
            self.next[ref] = self.now + 1 + int(self.habit[ref] * self.dice.uniform(0.3, 1.7))
            if not self.here(ref):
                self.next[ref] = 1 << 60
            else:
                self.send(ref)
        chance = self.dice.random()
        act = (self.version if chance < 0.08 else self.suspend if chance < 0.13 else
               self.kill if chance < 0.145 else self.leave if chance < 0.15 and self.counts["left"] < 3 else None)
        if act:
            act()

    # --------------------------------------------------------------------------------------- what must be true

    def query(self, statement):
        return self.site.cluster.query(statement, database="vigie")

    def events(self):
        self.site.node.wait_drained("postgres")
        events = [row[0] for row in self.query("SELECT payload FROM vigie.alert_event")]
        events.sort(key=lambda event: (event["episode_id"], event["sequence"]))
        return events

    def implied(self):
        found = []
        for ref, patient in self.people.items():
            versions = [version for scope in (self.line_of[ref], ref) for version in self.versions.get(scope, ())]
            found += [(episode.as_tuple(), "closed" if episode.closed else "open" if episode.cleared_at is None
                       else "cleared") for episode in oracle.evaluate(patient, self.readings, versions, self.now,
                                                                      self.outages)]
        return sorted(found)

    def compare(self):
        self.now += 1000
        self.site.node.clock({"set": check.to_text(self.now)})
        last, told_outages = {}, []
        for event in self.events():
            if event["rule"]["id"] == "technical.own-outage" and event["event"] == "cleared":
                told_outages.append((check.to_ms(event["raised_at"]), check.to_ms(event["cleared_at"])))
            if event["class"] != "silence":
                continue
            last[event["episode_id"]] = event
            if event["event"] == "raised":
                late = check.to_ms(event["decided_at"]) - check.to_ms(event["raised_at"])
                base.check(1 <= late <= 1000, "decided", late, "ms after it was due", event)
        told = sorted(((event["rule"]["id"], event["side"], event["patient"], check.to_ms(event["raised_at"]),
                        None if event["cleared_at"] is None else check.to_ms(event["cleared_at"]),
                        tuple((check.to_ms(at), priority) for at, priority in event["priorities"])), event["state"])
                      for event in last.values())
        base.equal(sorted(told_outages), self.outages, "outages of ours")
        check.same_episodes(told, self.implied())
        return len(told)

    def run(self):
        episodes = 0
        with sites.Site("silence-days-%d" % self.seed, settings={"node": {"test_clock": check.to_text(START)}}) as self.site:
            self.now, self.client = START, self.site.node.http(TOKEN)
            self.enrol()
            looked = 0
            while self.now < self.end:
                self.step()
                if self.now - looked > 2 * DAY:
                    looked, episodes = self.now, self.compare()
            return self.compare()


def one_seed(seed, days, count):
    run, began = Run(seed, days, count), time.monotonic()
    try:
        episodes = run.run()
    except Exception:
        print("        seed %d, %d days, %d patients: %s" % (seed, days, count, run.counts), flush=True)
        raise
    print("seed %d: %d days, %d patients, %d episodes equal, %s, %.0f s" % (
        seed, days, count, episodes, ", ".join("%d %s" % (number, name) for name, number in run.counts.items()),
        time.monotonic() - began), flush=True)


def test_days_of_silence():
    for seed in (int(text) for text in os.environ.get("SEEDS", "1").split(",")):
        one_seed(seed, int(os.environ.get("DAYS", "7")), int(os.environ.get("PATIENTS", "24")))


if __name__ == "__main__":
    one_seed(*(int(text) for text in sys.argv[1:]))
