"""Random readings, rules and clocks through the doors; the episodes told by the events are those of RULES.md.

Patients have random rules (limit, change, silence; versions, layers, confirmations, suspensions); their readings come
shuffled, late, twice, corrected and voided, under a held clock that jumps, and the daemon is killed in between. The
episodes are rebuilt from the payloads of vigie.alert_event alone. `tests/system/test_rules_random.py SEED STEPS` runs
one seed.
"""
import os
import random
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
from tests.harness import base, check, jsonschema, site as sites  # noqa: E402
from tests.oracle import oracle  # noqa: E402

PLAIN_ONLY = "one thread decides: nothing of it is new to a sanitizer"
TOKEN = "token-of-sys-a"
MINUTE, HOUR, DAY = 60000, oracle.HOUR, oracle.DAY
START = check.to_ms("2026-12-01T00:00:00Z")
PATIENTS = ["R-%d" % number for number in range(8)]
# parameter: (code, unit, values, unit of another sender or None)
SIGNALS = {
    "body-weight": ("29463-7", "kg", [70 + step / 2 for step in range(12)]),
    "glucose-blood": ("2339-0", "mg/dL", list(range(40, 320, 10)) + [54, 70, 69.9, 250.1]),
    "heart-rate": ("8867-4", "/min", list(range(35, 150, 5))),
}
LIMITS = {"body-weight": ([71.5, 70.5], [74, 75]), "glucose-blood": ([70, 54], [180, 250]),
          "heart-rate": ([50, 40], [110, 130])}


def words(name, **more):
    return dict({"id": name, "line": sites.LINE, "text": {"fr": name, "en": name}, "source": "test", "tag": "TEST"},
                **more)


def random_limit(dice, name, parameter, sides):
    below, above = LIMITS[parameter]
    levels = []
    for side, word, limits in ((0, "below", below), (1, "above", above)):
        if side in sides:
            chosen = sorted(dice.sample(["low", "medium", "high"], dice.choice((1, 2, 2))), key=oracle.PRIORITIES.index)
            levels += [{"priority": priority, word: limits[index]} for index, priority in enumerate(chosen)]
    rule = words(name, kind="limit", parameter=parameter, unit=SIGNALS[parameter][1], levels=levels)
    if dice.random() < 0.5:
        rule["hysteresis"] = dice.choice((0.5, 1, 5) if parameter != "body-weight" else (0.5, 1))
    if dice.random() < 0.5:
        rule["count"] = dice.choice((2, 3))
    if dice.random() < 0.4:
        rule["clear_count"] = dice.choice((2, 3))
    if dice.random() < 0.4:
        rule["max_gap"] = dice.choice(("3h", "12h", "2d"))
        if dice.random() < 0.6:
            rule["for"] = dice.choice(("5m", "2h", "5h"))
    return rule


def random_change(dice, name, parameter, sides):
    rule = words(name, kind="change", parameter=parameter, unit=SIGNALS[parameter][1],
                 within=dice.choice(("12h", "84h", "7d")), priority=dice.choice(oracle.PRIORITIES))
    percent = dice.random() < 0.3
    for side, word in ((0, "fall"), (1, "rise")):
        if side in sides:
            rule[word + ("_percent" if percent else "")] = dice.choice(
                (2, 3.5) if percent or parameter == "body-weight" else (20, 45))
    if dice.random() < 0.4:
        rule["count"] = 2
    if dice.random() < 0.4:
        rule["clear_count"] = 2
    return rule


def silence(dice):
    rule = dict(sites.SILENCE, max_gap=dice.choice(("30h", "40h", "3d")), priority=dice.choice(oracle.PRIORITIES))
    if dice.random() < 0.6:
        rule["missed_days"] = dice.choice((1, 2, 3))
        if dice.random() < 0.3:
            del rule["max_gap"]
    return rule


class Run:
    """One seed: what was told to the daemon, and what it told us."""

    def __init__(self, seed, steps):
        self.seed, self.steps, self.dice = seed, steps, random.Random(seed)
        self.sent = {patient: [] for patient in PATIENTS}
        self.shapes = {}       # rule id: how a new version is made
        self.given = {}        # (layer words, rule id): the last rule given
        self.left, self.confirmations, self.accepted = {}, {}, set()
        self.counts = {"accepted": 0, "duplicate": 0, "requests": 0, "kills": 0, "versions": 0}
        self.number = 0

    # ------------------------------------------------------------------------------------------ what is told

    def now(self):
        return check.to_ms(self.site.node.clock()["now"])

    def give(self, row, expect=0):
        self.site.node.import_rows([row], expect)

    def give_rule(self, name, **layer):
        dice, key = self.dice, (tuple(layer.items()), name)
        rule = self.shapes[name](dice)
        known = self.given.get(key)
        if known is not None and rule.get("kind") != "silence":
            chance = dice.random()
            if chance < 0.25:
                rule["enabled"] = False
            elif chance < 0.4 and "line" not in layer:
                rule = {"id": name, "inherit": True}
        self.given[key] = rule
        back = 0 if name == "test.silence" else dice.choice((0, 0, 5, 50)) * DAY
        valid_from = check.to_text(self.now() - back)
        self.give(sites.rule_row(rule, valid_from, **layer))
        self.counts["versions"] += 1

    def enrol(self):
        dice, rows = self.dice, sites.organization_rows()
        rows += [sites.rule_row(sites.SILENCE), sites.system_row("sys-a", TOKEN)]
        for patient in PATIENTS:
            row = sites.patient_rows(patient, device=False)[0]
            del row["enrolled_at"]
            rows.append(dict(row, team=dice.choice(("T-1", "T-2"))))
        self.site.node.import_rows(rows)
        self.shapes["test.silence"] = silence
        kinds = (random_limit, random_change)
        for number, parameter in enumerate(list(SIGNALS) * 4):
            name, make = "rule.%d" % number, kinds[(number // 3) % 2]
            sides = dice.choice(((0,), (1,), (0, 1), (0, 1)))
            asks = number >= 9

            def shape(dice, name=name, make=make, parameter=parameter, sides=sides, asks=asks):
                return dict(make(dice, name, parameter, sides), **({"requires_validation": True} if asks else {}))
            self.shapes[name] = shape
        for number in range(6, 12):
            self.give_rule("rule.%d" % number, line=sites.LINE)
        for patient in PATIENTS:
            for number in self.dice.sample(range(6), 4):
                self.give_rule("rule.%d" % number, patient=patient)

    def version(self):
        name = self.dice.choice(sorted(self.shapes))
        layers = [{"patient": self.dice.choice(PATIENTS)}] * 3
        if name == "test.silence" or int(name[5:]) >= 6:
            layers += [{"line": sites.LINE}, {"organization": "ORG-A"}, {"team": "T-1"}]
        layer = self.dice.choice(layers)
        if name == "test.silence" and "patient" not in layer:
            layer = {"patient": self.dice.choice(PATIENTS)}
        self.give_rule(name, **layer)

    def reading(self, patient):
        dice = self.dice
        parameter = dice.choice(sorted(SIGNALS))
        code, unit, values = SIGNALS[parameter]
        now = self.now()
        ages = (dice.randrange(6 * 60), dice.randrange(3 * 24 * 60), dice.randrange(12 * 24 * 60))
        age = dice.choice(ages) if dice.random() < 0.95 else dice.randrange(40 * 24 * 60)
        at = (now - age * MINUTE) // (10 * MINUTE) * 10 * MINUTE
        item = {"code": parameter if dice.random() < 0.5 and parameter != "heart-rate" else code,
                "value": dice.choice(values), "unit": unit, "time": check.to_text(at)}
        if parameter == "glucose-blood" and dice.random() < 0.1:
            item["comparator"], item["value"] = dice.choice((("<", 60), (">", 300), ("<", 20)))
        if parameter == "body-weight" and dice.random() < 0.03:
            item["comparator"], item["value"] = dice.choice((("<", 71), (">", 74), (">", 80)))
        if dice.random() < 0.15:
            item["sensor"] = "s2"
        if dice.random() < 0.3:
            self.number += 1
            item["id"] = "m%d" % self.number
        if dice.random() < 0.1:
            item["status"] = "preliminary"
        return item

    def amendment(self, old):
        """A resend, another value of the key, a correction or a void of something sent before."""
        dice = self.dice
        item, chance = dict(old), dice.random()
        values = SIGNALS[next(name for name in SIGNALS if old["code"] in (name, SIGNALS[name][0]))][2]
        if chance < 0.25:
            return item
        if chance < 0.4:
            item.pop("id", None)
            item.pop("status", None)
            item.pop("issued", None)
            item["value"] = dice.choice(values)
            return item
        if chance < 0.5:
            item["status"] = "final"
            return item
        item["status"] = "corrected" if chance < 0.8 else "void"
        item.pop("issued", None)
        if item["status"] == "corrected":
            item["value"] = dice.choice(values)
            item.pop("comparator", None)
        if item["status"] == "corrected" or dice.random() < 0.6:
            item["issued"] = check.to_text(self.now() - dice.randrange(20) * HOUR)
        if dice.random() < 0.3:
            item.pop("id", None)
        return item

    def send(self):
        dice, patient = self.dice, self.dice.choice(PATIENTS)
        items, device = [], self.dice.choice((None, None, "dev-1"))
        for _ in range(dice.choice((1, 1, 2, 5))):
            known = [item for sender, item in self.sent[patient][-40:] if sender == device]
            items.append(self.amendment(dice.choice(known)) if known and dice.random() < 0.25
                         else self.reading(patient))
        body = sites.message(patient, check.to_text(self.now()), *items)
        if device:
            body["device"] = device
        answer = self.client().post("/v1/readings", body)
        told = answer.json()
        if patient in self.left:  # what was measured later is refused
            base.check(answer.status in (200, 422), answer, body)
            base.equal({item["code"] for item in told["rejected"]} - {"not-assigned"}, set(), answer, body)
        else:
            base.equal((answer.status, told["rejected"], told["quarantined"]), (200, [], 0), answer, body)
        self.counts["accepted"] += told["accepted"]
        self.counts["duplicate"] += told["duplicate"]
        self.counts["requests"] += 1
        self.sent[patient] += [(device, item) for item in items]
        refused = {item["reading"] for item in told["rejected"]}
        for number, item in enumerate(items):
            if number not in refused:
                name = next(name for name in SIGNALS if item["code"] in (name, SIGNALS[name][0]))
                self.accepted.add((patient, name, device or "sys-a", item.get("sensor", ""), check.to_ms(item["time"]),
                                   item.get("comparator", ""), round(item["value"] * 1000000)))

    def client(self):
        if self.connection is None:
            self.connection = self.site.node.http(TOKEN)
        return self.connection

    def kill(self):
        self.site.node.settings["node"].pop("test_clock", None)
        self.site.node.write_config()
        self.site.node.kill()
        self.site.node.start()
        self.connection = None
        self.counts["kills"] += 1

    def advance(self):
        self.site.node.clock({"advance": self.dice.choice(("1m", "20m", "3h", "7h", "14h", "30h", "50h"))})

    def confirm(self):
        patient, now = self.dice.choice(PATIENTS), self.now()
        self.confirmations.setdefault(patient, []).append((now, now))
        self.give({"type": "confirmation", "patient": patient, "line": sites.LINE, "author": "Dr A",
                   "role": "physician", "from": check.to_text(now)})

    def suspend(self):
        now = self.now()
        begin = now + self.dice.choice((0, 5)) * HOUR
        self.give({"type": "suspension", "patient": self.dice.choice(PATIENTS), "rule": "test.silence",
                   "from": check.to_text(begin), "until": check.to_text(begin + self.dice.choice((10, 40)) * HOUR),
                   "author": "Nurse B", "reason": "hospital stay"})

    def leave(self):
        if PATIENTS[-1] not in self.left:
            self.left[PATIENTS[-1]] = self.now()
            self.give({"type": "left", "patient": PATIENTS[-1], "at": check.to_text(self.now()), "reason": "moved"})

    # --------------------------------------------------------------------------------------- what must be true

    def query(self, statement):
        return self.site.cluster.query(statement, database="vigie")

    def events(self):
        self.site.node.wait_drained("postgres")
        events = [row[0] for row in self.query("SELECT payload FROM vigie.alert_event ORDER BY shard, position,"
                                               " episode_id, sequence")]
        events.sort(key=lambda event: (event["episode_id"], event["sequence"]))
        return events

    def told_episodes(self, events):
        last = {}
        for event in events:
            expected = last[event["episode_id"]]["sequence"] + 1 if event["episode_id"] in last else 1
            base.equal(event["sequence"], expected, "sequence", event)
            last[event["episode_id"]] = event
        return sorted((check_tuple(event) for event in last.values()
                       if event["class"] in ("clinical", "silence") and event["state"] != "cancelled"),
                      key=lambda episode: episode[:4])

    def implied_episodes(self, events, clock):
        outages = [(check.to_ms(event["raised_at"]), check.to_ms(event["cleared_at"])) for event in events
                   if event["rule"]["id"] == "technical.own-outage"]
        readings = check.stored_readings(self.site.cluster)
        check.stored_once(readings)
        base.check(len(readings) <= self.counts["accepted"], "stored against accepted", len(readings), self.counts)
        stored = {(r.patient, r.parameter, r.device, r.sensor, r.measured_at, r.comparator, r.value) for r in readings}
        base.equal(self.accepted - stored, set(), "accepted and not stored")
        rows = self.query("SELECT rule, layer, scope, valid_from, committed_at, version FROM vigie.rule_version "
                          "WHERE valid_from IS NOT NULL ORDER BY rule_version_id")
        people = self.query("SELECT patient_id, ref, enrolled_at, left_at, team FROM vigie.patient")
        found = []
        for patient_id, ref, enrolled, left, team in people:
            patient = oracle.Patient(ref, check.to_ms(enrolled), left_at=None if left is None else check.to_ms(left))
            patient.confirmations = self.confirmations.get(ref, [])
            patient.suspensions = [(rule, check.to_ms(begin), check.to_ms(until)) for rule, begin, until in self.query(
                "SELECT rule_id, from_at, until_at FROM vigie.suspension WHERE patient_id = %d" % patient_id)]
            scopes = {"patient": ref, "team": "ORG-A/" + (team or ""), "organization": "ORG-A", "line": sites.LINE}
            versions = [oracle.Version(rule, layer, check.to_ms(valid), check.to_ms(commit), number)
                        for rule, layer, scope, valid, commit, number in rows
                        if scope == scopes[layer] or (layer == "team" and scope == team)]
            found += [episode.as_tuple() for episode in oracle.evaluate(patient, readings, versions, clock, outages)]
        return sorted(found, key=lambda episode: episode[:4])

    def compare(self):
        self.site.node.clock({"advance": "2s"})
        clock = self.now()
        events = self.events()
        for event in events:
            base.equal(jsonschema.errors(event, check.schema()), [], "schema", event)
            if (event["class"], event["event"]) == ("silence", "raised"):
                late = check.to_ms(event["decided_at"]) - check.to_ms(event["raised_at"])
                base.check(1 <= late <= 1000, "decided", late, "ms after it was due", event)
        told, implied = self.told_episodes(events), self.implied_episodes(events, clock)
        check.same_episodes(told, implied)
        return len(told), len(events)

    def run(self):
        actions = ([self.send] * 30 + [self.advance] * 9 + [self.version] * 3 + [self.confirm, self.suspend])
        with sites.Site("rules-random-%d" % self.seed,
                        settings={"node": {"test_clock": check.to_text(START)}}) as self.site:
            self.connection = None
            self.enrol()
            killed = set(self.dice.sample(range(self.steps), 2))
            for step in range(self.steps):
                self.dice.choice(actions)()
                if step in killed:
                    self.kill()
                if step == self.steps * 2 // 3:
                    self.leave()
                if step % 60 == 59:
                    self.compare()
            return self.compare()


def check_tuple(event):
    return (event["rule"]["id"], event["side"], event["patient"], check.to_ms(event["raised_at"]),
            None if event["cleared_at"] is None else check.to_ms(event["cleared_at"]),
            tuple((check.to_ms(time), priority) for time, priority in event["priorities"]))


def one_seed(seed, steps):
    run = Run(seed, steps)
    try:
        episodes, events = run.run()
    except Exception:
        print("        seed %d, %d steps: %s" % (seed, steps, run.counts), flush=True)
        raise
    print("        seed %d, %d steps: %d episodes, %d events, %s" % (seed, steps, episodes, events, run.counts),
          flush=True)


def test_random_rules_and_readings():
    for seed in (int(text) for text in os.environ.get("SEEDS", "1,2").split(",")):
        one_seed(seed, int(os.environ.get("STEPS", "360")))


if __name__ == "__main__":
    one_seed(int(sys.argv[1]), int(sys.argv[2]))
