"""The oracle against cases worked out by hand from RULES.md, and the cases against mutations of the oracle."""
import itertools
import os
import random
import sys
import types

from tests.harness import base
from tests.oracle import oracle as real

H, D = real.HOUR, real.DAY
T0 = 1790000000000 - 1790000000000 % D   # midnight UTC, September 2026
SOURCE = os.path.join(base.ROOT, "tests", "oracle", "oracle.py")
LONG_AGO = T0 - 30 * D


def reading(o, hours, value, parameter="glucose-blood", **more):
    at = T0 + int(hours * H)
    more.setdefault("received_at", at + 1000)
    return o.Reading("P", parameter, round(value * 1000000), at, device="d", **more)


def version(o, rule, layer="patient", valid_from=LONG_AGO, commit=LONG_AGO, number=1):
    return o.Version(dict(rule), layer, valid_from, commit, number)


def run(o, readings, versions, clock=T0 + 60 * D, patient=None, outages=()):
    patient = patient or o.Patient("P", LONG_AGO)
    return [(e.side, (e.raised_at - T0) / H, None if e.cleared_at is None else (e.cleared_at - T0) / H,
             [((t - T0) / H, p) for t, p in e.priorities])
            for e in o.evaluate(patient, readings, versions, clock, outages)]


LIMIT = {"id": "g", "kind": "limit", "parameter": "glucose-blood", "unit": "mg/dL",
         "levels": [{"priority": "medium", "below": 70}, {"priority": "high", "below": 54},
                    {"priority": "medium", "above": 250}]}


def limit_is_strict_and_sides_are_two_rules(o):
    values = [(0, 70), (1, 69.999999), (2, 251), (3, 250), (4, 100)]
    found = run(o, [reading(o, h, v) for h, v in values], [version(o, LIMIT)])
    base.equal(found, [("high", 2.0, 3.0, [(2.0, "medium")]), ("low", 1.0, 2.0, [(1.0, "medium")])])


def limit_escalates_and_deescalates(o):
    values = [(0, 60), (1, 50), (2, 53), (3, 56), (4, 70)]
    found = run(o, [reading(o, h, v) for h, v in values], [version(o, LIMIT)])
    base.equal(found, [("low", 0.0, 4.0, [(0.0, "medium"), (1.0, "high"), (3.0, "medium")])])


def limit_counts_lasts_and_clears_by_runs(o):
    rule = dict(LIMIT, levels=[{"priority": "medium", "below": 70}], hysteresis=5, count=2, clear_count=2,
                max_gap="3h", **{"for": "90m"})
    # 0 and 1: two, but one hour; 2: lasts two hours -> raised; 3: 72 is not inside by 5; 4, 5: inside twice
    values = [(0, 60), (1, 60), (2, 60), (3, 72), (4, 75), (5, 80)]
    base.equal(run(o, [reading(o, h, v) for h, v in values], [version(o, rule)]),
               [("low", 2.0, 5.0, [(2.0, "medium")])])
    # a hole of more than max_gap restarts all runs, the level stays
    values = [(0, 60), (1, 60), (2, 60), (3, 80), (6.5, 80), (7, 80)]
    base.equal(run(o, [reading(o, h, v) for h, v in values], [version(o, rule)]),
               [("low", 2.0, 7.0, [(2.0, "medium")])])
    values = [(0, 60), (3, 60), (4, 60)]
    base.equal(run(o, [reading(o, h, v) for h, v in values], [version(o, rule)]), [("low", 3.0, None, [(3.0, "medium")])])
    values = [(0, 60), (3.1, 60), (4.5, 60)]
    base.equal(run(o, [reading(o, h, v) for h, v in values], [version(o, rule)]), [])


def comparators_are_beyond_or_undecided(o):
    found = run(o, [reading(o, 0, 100), reading(o, 1, 60, comparator="<"), reading(o, 2, 100)], [version(o, LIMIT)])
    base.equal(found, [("low", 1.0, 2.0, [(1.0, "high")])], "LO of a glucose meter: the end of its range")
    weight = {"id": "w", "kind": "limit", "parameter": "body-weight", "unit": "kg",
              "levels": [{"priority": "low", "below": 40}]}
    series = [reading(o, h, v, "body-weight", comparator=c) for h, v, c in
              [(0, 39, ""), (1, 41, "<"), (2, 41, ">"), (3, 40, "<")]]
    base.equal(run(o, series, [version(o, weight)]), [
        ("low", 0.0, 2.0, [(0.0, "low")]), ("low", 3.0, None, [(3.0, "low")])])


def look_back_is_a_property_of_the_reading(o):
    late = reading(o, 0, 60, received_at=T0 + 35 * D)
    base.equal(len(run(o, [late], [version(o, LIMIT)])), 1)
    late = reading(o, 0, 60, received_at=T0 + 35 * D + 1)
    base.equal(run(o, [late], [version(o, LIMIT)]), [])
    heart = {"id": "h", "kind": "limit", "parameter": "heart-rate", "unit": "/min",
             "levels": [{"priority": "low", "above": 120}]}
    late = reading(o, 0, 130, "heart-rate", received_at=T0 + 16 * D + 1)
    base.equal(run(o, [late], [version(o, heart)]), [])


CHANGE = {"id": "c", "kind": "change", "parameter": "body-weight", "unit": "kg", "rise": 2.0, "within": "84h",
          "priority": "medium"}


def change_takes_the_window_before(o):
    weights = [(0, 70), (71, 72.000001), (72, 72.000002), (84.5, 73), (100, 72)]
    # 72: exceeds by more than one millionth; 84.5: against 72.000001 only
    base.equal(run(o, [reading(o, h, v, "body-weight") for h, v in weights], [version(o, CHANGE)]),
               [("high", 72.0, 84.5, [(72.0, "medium")])])
    weights = [(0, 70), (84, 75)]
    base.equal(len(run(o, [reading(o, h, v, "body-weight") for h, v in weights], [version(o, CHANGE)])), 1)
    weights = [(0, 70), (84.001, 75)]
    base.equal(run(o, [reading(o, h, v, "body-weight") for h, v in weights], [version(o, CHANGE)]), [])


def change_counts_judged_readings_alone(o):
    rule = dict(CHANGE, count=2, clear_count=2)
    weights = [(0, 70, ""), (1, 73, ""), (2, 73, ">"), (3, 73, ""), (4, 70, ""), (5, 73, ""), (6, 70, ""), (7, 70, "")]
    base.equal(run(o, [reading(o, h, v, "body-weight", comparator=c) for h, v, c in weights], [version(o, rule)]),
               [("high", 3.0, 7.0, [(3.0, "medium")])])
    fall = {"id": "c", "kind": "change", "parameter": "body-weight", "unit": "kg", "fall_percent": 5,
            "within": "7d", "priority": "low"}
    weights = [(0, 80), (24, 76), (48, 75.999999), (72, 80)]
    base.equal(run(o, [reading(o, h, v, "body-weight") for h, v in weights], [version(o, fall)]),
               [("low", 48.0, 72.0, [(48.0, "low")])])
    weights = [(0, -1), (1, 0), (2, -5)]
    base.equal(run(o, [reading(o, h, v, "body-weight") for h, v in weights], [version(o, fall)]), [])


def versions_of_a_reading(o):
    def found(*readings):
        return [r.value // 1000000 for r in o.series_of(list(readings))]

    plain = reading(o, 0, 60, alias="a", source="s")
    base.equal(found(plain, reading(o, 0, 60, received_at=T0 + 5 * H)), [60], "same identity")
    base.equal(found(plain, reading(o, 0, 61)), [60, 61], "same instant")
    base.equal(found(reading(o, 0, 60, status="preliminary"), reading(o, 0, 61)), [61], "final over preliminary")
    base.equal(found(reading(o, 0, 60, status="preliminary", alias="a", source="s"),
                     reading(o, 0, 61, alias="b", source="s")), [60, 61], "other identifiers")
    early = reading(o, 0, 95, status="corrected", issued=5, alias="a", source="s")
    later = reading(o, 0, 90, status="corrected", issued=6, alias="a", source="s")
    for order in itertools.permutations([plain, early, later]):
        base.equal(found(*order), [90], "the later version time wins")
    void = reading(o, 0, 60, status="void", issued=6, alias="a", source="s")
    base.equal(found(plain, later, void), [], "void wins at equal version times")
    base.equal(found(reading(o, 0, 60, status="void", issued=1), reading(o, 0, 61)), [], "a void by key")
    base.equal(found(later), [90], "a correction alone counts")
    base.equal(found(plain, reading(o, 3, 70, status="corrected", issued=1, alias="a", source="s")), [70],
               "an alias finds its reading at another time")
    base.equal(found(plain, reading(o, 3, 70, status="corrected", issued=1, alias="x", source="s")), [60, 70],
               "an alias that nobody carries means the key")


def same_instant_breaches_if_any_does(o):
    series = [reading(o, 0, 60), reading(o, 0, 100), reading(o, 1, 100), reading(o, 1, 60)]
    base.equal(run(o, series, [version(o, LIMIT)]), [("low", 0.0, None, [(0.0, "medium")])])
    rule = dict(LIMIT, count=2)
    base.equal(run(o, series[:2], [version(o, rule)]), [], "counts once")


def layers_and_versions(o):
    strict = dict(LIMIT, levels=[{"priority": "low", "below": 90}])
    series = [reading(o, h, 80) for h in (0, 1, 2, 3)]
    line = version(o, LIMIT, "line")
    mine = version(o, strict, "patient", T0 + H, T0 + H)
    back = version(o, {"id": "g", "inherit": True}, "patient", T0 + 3 * H, T0 + 3 * H, 2)
    base.equal(run(o, series, [line, mine]), [("low", 1.0, None, [(1.0, "low")])])
    base.equal(run(o, series, [line, mine, back]), [("low", 1.0, 3.0, [(1.0, "low")])])
    off = version(o, dict(strict, enabled=False), "patient", T0 + 2 * H + 1, T0 + 2 * H, 2)
    base.equal(run(o, series, [mine, off]), [("low", 1.0, 2 + 1 / H, [(1.0, "low")])])
    base.equal(run(o, series, [version(o, strict, "line")], patient=o.Patient("P", T0 + 2 * H)),
               [("low", 2.0, None, [(2.0, "low")])], "from enrolment")
    waits = version(o, dict(strict, requires_validation=True), "line")
    base.equal(run(o, series, [waits]), [], "not confirmed")
    confirmed = o.Patient("P", LONG_AGO, confirmations=[(T0 + H, T0 + H)])
    base.equal(run(o, series, [waits], patient=confirmed), [("low", 1.0, None, [(1.0, "low")])])
    left = o.Patient("P", LONG_AGO, left_at=T0 + 2 * H)
    base.equal(run(o, series, [mine], patient=left), [("low", 1.0, 2.0, [(1.0, "low")])])


SILENCE = {"id": "s", "kind": "silence", "max_gap": "36h", "parameters": ["body-weight"], "priority": "medium"}


def silence_by_gap(o):
    patient, rule = o.Patient("P", T0), version(o, SILENCE, "line")

    def weight(hours, measured=None):
        return reading(o, hours if measured is None else measured, 70, "body-weight", received_at=T0 + int(hours * H))

    found = lambda *r, clock=T0 + 40 * H, **more: run(o, list(r), [rule], clock, patient, **more)  # noqa: E731
    base.equal(found(clock=T0 + 36 * H - 1), [], "not due")
    base.equal(found(clock=T0 + 36 * H), [("", 36.0, None, [(36.0, "medium")])], "never heard of")
    base.equal(found(weight(36)), [], "readings come before timers")
    base.equal(found(weight(37)), [("", 36.0, 37.0, [(36.0, "medium")])])
    base.equal(found(weight(10), weight(30, measured=-13.9)),
               [], "measured within a day before the last sign of life")
    base.equal(found(weight(1), weight(30, measured=-23)), [("", 37.0, None, [(37.0, "medium")])],
               "a replayed backlog is no sign of life")
    again = reading(o, 1, 71, "body-weight", received_at=T0 + 30 * H)
    base.equal(found(weight(1), again), [("", 37.0, None, [(37.0, "medium")])], "a key counts once")
    base.equal(found(weight(1), outages=[(T0 + 2 * H, T0 + 4 * H)]), [("", 39.0, None, [(39.0, "medium")])])
    suspended = o.Patient("P", T0, suspensions=[("s", T0 + 10 * H, T0 + 11 * H)])
    base.equal(run(o, [], [rule], T0 + 40 * H, suspended), [("", 37.0, None, [(37.0, "medium")])])


def silence_by_days(o):
    rule = version(o, {"id": "s", "kind": "silence", "missed_days": 2, "grace": "6h", "priority": "low",
                       "parameters": ["body-weight"]}, "line")
    patient = o.Patient("P", T0, zone="UTC")
    base.equal(run(o, [], [rule], T0 + 60 * H, patient), [("", 54.0, None, [(54.0, "low")])])
    one = reading(o, 30, 70, "body-weight")
    base.equal(run(o, [one], [rule], T0 + 101 * H, patient), [], "a filled day ends the run")
    base.equal(run(o, [one], [rule], T0 + 102 * H, patient), [("", 102.0, None, [(102.0, "low")])])
    backlog = reading(o, 30, 70, "body-weight", received_at=T0 + 53 * H)
    base.equal(run(o, [backlog], [rule], T0 + 60 * H, patient), [], "received since that day's end")
    backlog = reading(o, 10, 70, "body-weight", received_at=T0 + 30 * H)
    base.equal(run(o, [backlog], [rule], T0 + 60 * H, patient), [], "filled late, but before the closing")


CASES = [limit_is_strict_and_sides_are_two_rules, limit_escalates_and_deescalates,
         limit_counts_lasts_and_clears_by_runs, comparators_are_beyond_or_undecided,
         look_back_is_a_property_of_the_reading, change_takes_the_window_before, change_counts_judged_readings_alone,
         versions_of_a_reading, same_instant_breaches_if_any_does, layers_and_versions, silence_by_gap,
         silence_by_days]


def test_cases_worked_out_by_hand():
    for case in CASES:
        case(real)


def test_order_of_arrival_means_nothing():
    dice = random.Random(1)
    rule = dict(LIMIT, count=2, hysteresis=4)
    for _ in range(30):
        series = [reading(real, dice.randrange(40) / 4, dice.choice([50, 60, 69, 71, 75, 100]),
                          status=dice.choice(["final", "final", "preliminary"])) for _ in range(25)]
        episodes = run(real, series, [version(real, rule)])
        dice.shuffle(series)
        base.equal(run(real, series, [version(real, rule)]), episodes)


# (what stands there, what a careless reading of RULES.md would put): each must make a case fail
MUTATIONS = [
    ("return reading.value < limit if side", "return reading.value <= limit if side"),
    ("reading.value >= limit + hysteresis", "reading.value > limit + hysteresis"),
    ("reading.value >= limit + hysteresis", "reading.value >= limit"),
    ("gap > duration(rule[\"max_gap\"])", "gap >= duration(rule[\"max_gap\"])"),
    ("t - runs[index][1] >= lasting", "t - runs[index][1] > 0"),
    ("runs[index][0] >= needed", "runs[index][0] > needed"),
    ("clearing[index] < rule.get(\"clear_count\", 1)", "clearing[index] < 1"),
    ("reached = reading.value <= limit", "reached = reading.value < limit"),
    ("return True if reached else None", "return True if reached else False"),
    ("if reading.parameter in GLUCOSE or", "if False and"),
    ("reading.measured_at <= look_back", "reading.measured_at < look_back"),
    ("(16 if parameter in CONTINUOUS else 35)", "(35)"),
    ("bisect.bisect_left(times, t - duration", "bisect.bisect_right(times, t - duration"),
    ("delta > limit + 1 for", "delta > limit for"),
    ("if breach is None:\n            continue", "breach = bool(breach)"),
    ("if old == 0:", "if False:"),
    ("delta * 100 * 1000000 > share", "delta * 100 * 1000000 >= share"),
    ("clearing >= needed", "clearing >= 1"),
    ("final.alias == reading.alias", "True"),
    ("amendment.status == \"void\",", "amendment.status != \"void\","),
    ("amendment.issued if amendment.issued is not None else FOREVER", "0"),
    ("if instants and instants[-1][0].key() == reading.key():", "if False:"),
    ("start = max(start, patient.enrolled_at)", "pass"),
    ("if version.rule.get(\"inherit\"):\n                continue", "pass"),
    ("return None if version.rule.get(\"enabled\") is False else version", "return version"),
    ("start = max(start, min(confirmed + patient_layer, default=FOREVER))", "pass"),
    ("moment >= self.patient.left_at", "moment > self.patient.left_at"),
    ("reading.measured_at > before - DAY", "True"),
    ("reading.key() in seen", "reading.identity() in seen"),
    ("now = hole_end\n", "now = hole_start\n"),
    ("(received is None or item[0] < received)", "True"),
    ("reading.received_at <= moment for", "reading.received_at <= last for"),
    ("            if any(start <= reading.measured_at < last", "            if False and any(start <= reading.measured_at < last"),
    ("for name, start, until in patient.suspensions if name == rule_id", "for name, start, until in []"),
    ("(amendment.source, amendment.alias) not in aliased:", "True:"),
    ("any(breaches_limit(reading, side, limit) for reading in instant)",
     "breaches_limit(instant[-1], side, limit)"),
]


def test_every_mutation_of_the_oracle_is_noticed():
    with open(SOURCE, encoding="utf-8") as file:
        source = file.read()
    alive = []
    for old, new in MUTATIONS:
        base.check(old in source, "the mutation no longer fits the source:", old)
        module = types.ModuleType("mutant")
        sys.modules["mutant"] = module
        exec(compile(source.replace(old, new), SOURCE, "exec"), module.__dict__)
        for case in CASES:
            try:
                case(module)
            except Exception:
                break
        else:
            alive.append((old, new))
    del sys.modules["mutant"]
    base.equal(alive, [], "mutations that no case notices")
