#!/usr/bin/python3
"""Mutants of the engine: small defects, each in a place that decides, which build/agree must find.

Each row changes one text of one file. The file alone is compiled again and put before the library; the program then
tells the seeds below until the first difference. Without the change the same seeds must agree: that is tried first.
`mutants.py [NUMBER...]` runs some of them; ends with `N passed, N failed`.
"""
import concurrent.futures
import os
import shlex
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD", "build")
OUT = os.path.join(BUILD, "mutants")
SEED, COUNT, READINGS = 20000, 150, 250
ANY = "limit,occurrences,change,reference,rate,event"

# file, unique text, its replacement, what it breaks, kinds that the scenarios have
MUTANTS = [
    ("judge_values.c", "held->value < limit : held->value > limit;", "held->value <= limit : held->value >= limit;",
     "a limit is strict", "limit"),
    ("judge_values.c", "(__int128)difference->amount[side] + 1;", "(__int128)difference->amount[side];",
     "a difference breaches by more than one millionth", "change,reference"),
    ("judge_values.c", "held->value > best->value : held->value < best->value",
     "held->value < best->value : held->value > best->value", "any value of an instant breaches", "change,reference"),
    ("judge_values.c", "return value_ends_range(input->parameter) ||", "return", "the end of the measuring range", "limit"),
    ("judge_values.c", "return (held->comparator == COMPARATOR_LESS) != low;", "return true;",
     "a comparator on its own side is not inside", "limit"),
    ("judge_values.c", "more * 100 * DECIMAL_ONE", "more * 99 * DECIMAL_ONE", "percents", "change,reference"),
    ("judge_limit.c", "run->count >= input->rule->count", "run->count > input->rule->count", "count", "limit"),
    ("judge_limit.c", "run->first.ms >= input->rule->limit.for_ms", "run->first.ms > input->rule->limit.for_ms",
     "for is reached at its end", "limit"),
    ("judge_limit.c", "key->ms - state->previous_ms > input->rule", "key->ms - state->previous_ms >= input->rule",
     "a gap is longer than max_gap", "limit"),
    ("judge_limit.c", "->count >= input->rule->clear_count", "->count > input->rule->clear_count", "clear_count", "limit"),
    ("judge_limit.c", "input->rule->limit.hysteresis)", "0)", "hysteresis", "limit"),
    ("judge_change.c", "own->pending.key.ms < t)", "own->pending.key.ms <= t)", "ties with t are no part of the window", "change"),
    ("judge_change.c", "window_at(window, middle)->key.ms < from_ms", "window_at(window, middle)->key.ms <= from_ms",
     "a window begins at t - D", "change"),
    ("judge_occurrences.c", "n >= rule->occurrences.times &&", "n > rule->occurrences.times &&", "N occurrences", "occurrences"),
    ("judge_occurrences.c", "(input->rule->occurrences.sample || !was_in)", "true", "a crossing counts once", "occurrences"),
    ("judge_occurrences.c", "limit, rule->rearm)", "limit, 0)", "rearm", "occurrences"),
    ("judge_rate.c", "->key.ms <= t - own->sums_ms", "->key.ms < t - own->sums_ms", "(t - T, t]", "rate"),
    ("judge_rate.c", "own->summed < input->rule->rate.readings || run == 0", "own->summed <= input->rule->rate.readings || run == 0",
     "n readings are enough", "rate"),
    ("judge_tally.c", "tally->run.count >= rule->count", "tally->run.count > rule->count", "count of one priority", "change,rate"),
    ("judge_tally.c", "tally->clear >= rule->clear_count", "tally->clear > rule->clear_count",
     "clear_count of one priority", "change,rate"),
    ("references.c", "size_t place = count_upto(references, &like);", "like.from_ms--;\n    size_t place = count_upto(references, &like);",
     "a reference is in force from its time on", "reference"),
    ("series_resolve.c", "a->value != b->value ? a->value > b->value", "a->value != b->value ? a->value < b->value",
     "of equal corrections the greater value", ANY),
    ("series_resolve.c", "(!comparable || a->issued_ms == b->issued_ms))\n        return a_void;",
     "(!comparable || a->issued_ms == b->issued_ms))\n        return b_void;", "of equal amendments the void", ANY),
    ("series_resolve.c", "(final->alias == 0 || preliminary->alias == 0 || final->alias == preliminary->alias);",
     "final->alias == preliminary->alias;", "a final takes the place of preliminaries without identifier", ANY),
    ("series_resolve.c", "(r->items[i].flags & HELD_AMENDS) && (r->items[i].alias == 0 || !mean_alias(r, i))",
     "(r->items[i].flags & HELD_AMENDS) && r->items[i].alias != 0 && !mean_alias(r, i)",
     "an amendment without identifier means its key", ANY),
    ("admission.c", "if (late_ms > engine_lookback_ms(engine, series->parameter))",
     "if (late_ms >= engine_lookback_ms(engine, series->parameter))", "the look-back includes its end", ANY),
    ("timeline.c", "version->valid_from_ms >= best->valid_from_ms)", "version->valid_from_ms <= best->valid_from_ms)",
     "the latest valid_from counts", ANY),
    ("timeline.c", "if (definition->versions[i]->valid_from_ms < waits_until_ms &&", "if (i > definition->count &&",
     "what was replaced while it waited stays replaced", ANY),
    ("timeline.c", "c->from_ms <= ms && committed_by_then && strcmp", "(committed_by_then || c->from_ms <= ms) && strcmp", "a confirmation confirms what was committed by then", ANY),
    ("timeline.c", "layer != LAYER_PATIENT && ms < subject->enrolled_at_ms", "false", "rules of others from enrolment on", ANY),
    ("track.c", "        judge_end(state, (enum rule_kind)walk->track->kind);\n", "        state->active = PRIORITY_NONE;\n",
     "the end of a rule resets the runs", ANY),
    ("track.c", "if (judged->tip.active != PRIORITY_NONE) {", "if (judged == NULL) {",
     "what late data raise before an end is over in the same unit", ANY),
    ("track.c", "if (series->dirty || is_late(track, series)) {", "if (series->dirty) {", "data late for an end of the rule", ANY),
    ("episodes_settle.c", "        if (!same_transition(&published->items[i], &story->items[i]))\n            return false;\n", "",
     "what is no prefix is amended", ANY),
    ("episodes_settle.c", "if (was_open && !open) {", "if (was_open && open && scene == NULL) {",
     "an amended episode that ended is cleared", ANY),
    ("episodes_settle.c", "if (open && last->priority > published)", "if (open && last->priority < published)",
     "an amended episode that rose is escalated", ANY),
    ("silence.c", "arrival->measured_at_ms > silence->last_seen_ms - DAY_MS", "arrival->measured_at_ms > silence->last_seen_ms",
     "the one-day test", "silence"),
    ("silence.c", "return k > 0 && !seen_since &&", "return k > 0 &&", "heard since the last day ended", "silence"),
    ("silence.c", "else if (!spans_touch(&silence->suspensions, begin_of(track, day), begin_of(track, day + 1)))", "else",
     "days that a suspension touches", "silence"),
    ("spans.c", "amount_ms -= next.from_ms - from_ms;", "amount_ms -= 0;", "up time before an outage counts", "silence"),
    ("day_judge.c", "figure->number < limit : figure->number > limit", "figure->number <= limit : figure->number >= limit",
     "a limit of days is strict", "daily"),
    ("day_judge.c", "delta > (amount + 1) * figure", "delta > amount * figure", "differences of days and their millionth",
     "variation,baseline"),
    ("day_judge.c", "2 * (int64_t)lower->divisor", "(int64_t)lower->divisor", "the median of an even number of days", "baseline"),
    ("day_judge.c", "old->number < (__int128)variation->minimum", "old->number <= (__int128)variation->minimum",
     "minimum of the day before", "variation"),
    ("day_judge.c", "rule->kind == RULE_DAILY && rule->daily.skip &&", "rule->kind == RULE_DAILY &&", "missing days break a run",
     "daily"),
    ("day_statistic.c", "(mean || points->readings > 0)", "mean", "nothing but comparators is no sum", "daily"),
    ("day_statistic.c", "if (lower->beyond != items[middle].beyond)", "if (lower->beyond > items[middle].beyond)",
     "a median between both kinds is no data", "daily"),
    ("judge_tally.c", "ret->began = tally->run.first;", "ret->began = input->instant->key;",
     "the first reading of the run began it", "calm:change,rate,reference"),
    ("judge_limit.c", "ret->began = run_of(own->run, PRIORITY_LOW)->first;", "ret->began = input->instant->key;",
     "the first reading of the run that breaches any level began it", "calm:limit"),
    ("device.c", "state->active == PRIORITY_NONE || state->last.phase != PHASE_END", "state->active == PRIORITY_NONE || state->last.phase == PHASE_START",
     "an alarm is over at its end", "event"),
    ("device.c", "if (priority != state->active)\n        tell(", "if (priority > state->active)\n        tell(",
     "the priority follows the class both ways", "event"),
    ("command_quarantine.c", "    patient_take_in(engine, patient);", "    engine->arrivals_count = 0;\n    patient_take_in(engine, patient);",
     "a released reading counts for silence", "silence"),
    ("admission.c", "    enter(engine, patient, reading, &held, series, engine->unit.now_ms - reading->measured_at_ms);\n", "",
     "a released reading enters the series", ANY),
]


def output_of(command, **rest):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", **rest)


def last_command(target, changed):
    """How make would build the target; nothing is built."""
    lines = output_of(["make", "--no-print-directory", "-n", "V=1", "BUILD=" + BUILD, "-W", changed, target]).stdout.splitlines()
    wanted = [line for line in lines if line.rstrip().endswith("-o " + target) or " -o " + target + " " in line]
    return shlex.split(wanted[-1])


def agree(program, kinds):
    """Kinds after "calm:" are told in order, and ids are recomputed."""
    _, calm, kinds = kinds.rpartition("calm:")
    command = [program, "--quiet", "--seed", str(SEED), "--count", str(COUNT), "--readings", str(READINGS),
               "--kinds", kinds, "--checks", "3"]
    return output_of(command + (["--calm"] if calm else []), timeout=120)


def build(number, link):
    """The program with the mutant in front of the library; an error as text."""
    name, old, new = MUTANTS[number][:3]
    path = os.path.join("alerting", name)
    with open(os.path.join(ROOT, path)) as file:
        source = file.read()
    if source.count(old) != 1:
        return None, "the text stands there %d times: %r" % (source.count(old), old)
    stem = os.path.join(OUT, "m%d" % number)
    with open(os.path.join(ROOT, stem + ".c"), "w") as file:
        file.write(source.replace(old, new))
    target = os.path.join(BUILD, "obj", path[:-2] + ".o")
    command = last_command(target, path)
    command = [word for word in command if word not in ("-MMD", "-MP")]
    command[command.index(path)], command[command.index(target)] = stem + ".c", stem + ".o"
    made = output_of(command + ["-w"])
    if made.returncode == 0:
        made = output_of([stem if word == os.path.join(BUILD, "agree") else word
                          for word in link for word in ([stem + ".o", word] if word.endswith("libvigie.a") else [word])])
    return (stem, None) if made.returncode == 0 else (None, made.stderr[-800:])


def try_mutant(number, link):
    program, error = build(number, link)
    if error:
        return number, False, error
    found = agree(os.path.join(ROOT, program), MUTANTS[number][4])
    os.unlink(os.path.join(ROOT, program))
    line = next((line for line in found.stdout.splitlines() if line.startswith("FAILED")), "")
    crashed = "ended by signal %d" % -found.returncode if found.returncode < 0 else ""
    return number, found.returncode == 1 or bool(crashed), line or crashed or "agreed: not caught"


def run(numbers):
    """Lines to print, and whether all is well."""
    os.makedirs(os.path.join(ROOT, OUT), exist_ok=True)
    link = last_command(os.path.join(BUILD, "agree"), "tests/reference/agree.c")
    passed = failed = 0
    lines = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        plain = list(pool.map(lambda kinds: (kinds, agree(os.path.join(ROOT, BUILD, "agree"), kinds)),
                              sorted({MUTANTS[number][4] for number in numbers})))
        for kinds, result in plain:
            if result.returncode != 0:
                failed += 1
                lines.append("failed  without a mutant, kinds %s: %s" % (kinds, result.stdout.splitlines()[:1] or result.returncode))
        for number, caught, text in pool.map(lambda number: try_mutant(number, link), numbers):
            passed, failed = passed + caught, failed + (not caught)
            lines.append("%s %2d %s: %s: %s" % ("caught " if caught else "failed ", number, MUTANTS[number][0],
                                                MUTANTS[number][3], text))
    return lines + ["%d passed, %d failed" % (passed, failed)], failed == 0


def main():
    lines, good = run([int(word) for word in sys.argv[1:]] or list(range(len(MUTANTS))))
    print("\n".join(lines))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
