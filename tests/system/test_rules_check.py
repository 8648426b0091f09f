"""vigiectl rules check: every reason of RULES.md section 2 for which a rule is refused, with file, key, found, expected."""
import functools
import json
import os
import subprocess

from tests.harness import base, vigied

BELOW = {"priority": "low", "below": 90}
BY_KIND = {
    "limit": {"parameter": "spo2", "unit": "%", "levels": [BELOW]},
    "occurrences": {"parameter": "glucose-interstitial", "unit": "mg/dL", "below": 54, "times": 3, "within": "24h",
                    "priority": "high"},
    "change": {"parameter": "body-weight", "unit": "kg", "rise": 2, "within": "84h", "priority": "low"},
    "reference": {"parameter": "body-weight", "unit": "kg", "rise": 2, "reference": "dry-weight", "priority": "low"},
    "rate": {"parameter": "glucose-interstitial", "unit": "mg/dL", "fall_per": 3, "within": "30m", "readings": 3,
             "priority": "high"},
    "daily": {"parameter": "ventilation-leak-total", "unit": "L/min", "statistic": "median", "above": 24, "days": 3,
              "priority": "medium"},
    "variation": {"parameter": "ventilation-use", "unit": "h", "statistic": "sum", "fall_percent": 30, "minimum": 4,
                  "priority": "low"},
    "baseline": {"parameter": "ventilation-use", "unit": "h", "statistic": "sum", "fall_percent": 30, "over": 7,
                 "min_days": 4, "priority": "low"},
    "silence": {"missed_days": 2, "parameters": ["body-weight"], "priority": "low"},
    "event": {"classes": {"red": "high", "*": "medium"}},
}
MISSING = object()

# reason of RULES.md section 2: [(kind, changes, key named, found named)]
REFUSED = {
    "unknown parameter": [
        ("limit", {"parameter": "oxygen"}, "parameter", '"oxygen"'),
        ("silence", {"parameters": ["poids"]}, "parameters", '"poids"'),
    ],
    "unknown key": [(kind, {"colour": "red"}, "colour", "an unknown key") for kind in BY_KIND] + [
        ("limit", {"levels": [dict(BELOW, over=2)]}, "levels[0]", "over"),
        ("silence", {"parameter": "body-weight"}, "parameter", "a key of other kinds"),
        ("event", {"unit": "kg"}, "unit", "a key of other kinds"),
        ("occurrences", {"count": 2}, "count", "a key of other kinds"),
        ("reference", {"within": "84h"}, "within", "a key of other kinds"),
        ("rate", {"rise": 2}, "rise", "a key of other kinds"),
    ],
    "parameter or unit missing": [
        (kind, {key: MISSING}, key, "nothing") for kind in BY_KIND if kind not in ("silence", "event")
        for key in ("parameter", "unit")],
    "wrong unit family": [
        ("limit", {"unit": "kg"}, "unit", '"kg"'),
        ("change", {"unit": "cm"}, "unit", '"cm"'),
        ("rate", {"unit": "mg/dL/min"}, "unit", '"mg/dL/min"'),
        ("daily", {"unit": "h"}, "unit", '"h"'),
    ],
    "threshold outside the possible band": [
        ("limit", {"levels": [{"priority": "low", "below": -0.000001}]}, "levels[0].below", "-"),
        ("limit", {"levels": [{"priority": "low", "above": 100.5}]}, "levels[0].above", "100.5"),
        ("occurrences", {"below": 1001}, "below", "1001"),
        ("daily", {"above": 501}, "above", "501"),
        ("daily", {"statistic": "mean", "above": 501}, "above", "501"),
        ("daily", {"statistic": "max", "above": 501}, "above", "501"),
    ],
    "window beyond look-back": [
        ("change", {"within": "841h"}, "within", '"841h"'),          # 35 days
        ("occurrences", {"within": "385h"}, "within", '"385h"'),     # 16 days, continuous
        ("rate", {"within": "385h"}, "within", '"385h"'),
        ("limit", {"max_gap": "385h"}, "max_gap", '"385h"'),
        ("limit", {"for": "385h", "max_gap": "1h"}, "for", '"385h"'),
        ("silence", {"max_gap": "32d"}, "max_gap", '"32d"'),
        ("silence", {"missed_days": 32}, "missed_days", "32"),
        ("baseline", {"over": 91}, "over", "91"),
    ],
    "k out of range": [
        (kind, {"parameter": "ventilation-use", "unit": "h", "above": MISSING, "below": 4, "days": days}, "days", str(days))
        for kind in ("daily",) for days in (0, 31)] + [
        ("baseline", {"days": 31}, "days", "31"),
        ("occurrences", {"times": 0}, "times", "0"),
        ("occurrences", {"times": 257}, "times", "257"),
        ("rate", {"readings": 1}, "readings", "1"),
    ],
    "k of a ventilator's leak": [
        ("daily", {"parameter": leak, "days": days, "statistic": statistic}, "days", "nothing" if days is MISSING else str(days))
        for leak in ("ventilation-leak-total", "ventilation-leak-unintentional")
        for statistic in ("median", "mean", "max", "count") for days in (MISSING, 1, 2, 8, 30)],
    "for without max_gap": [("limit", {"for": "10m"}, "for", "no max_gap")],
    "two levels of one priority on a side": [
        ("limit", {"levels": [BELOW, dict(BELOW, below=85)]}, "levels[1].below", "low"),
    ],
    "a higher priority less far out": [
        ("limit", {"levels": [BELOW, {"priority": "high", "below": 91}]}, "levels[1].below", "a higher priority less far out"),
        ("limit", {"levels": [{"priority": "high", "above": 95}, {"priority": "low", "above": 96}]}, "levels[1].above",
         "a higher priority less far out"),
    ],
    "no class for all others": [
        ("event", {"classes": {"red": "high"}}, "classes", 'no "*"'),
        ("event", {"classes": {}}, "classes", "{}"),
    ],
    "what has no default": [
        ("baseline", {"min_days": MISSING}, "min_days", "nothing"),
        ("baseline", {"over": MISSING}, "over", "nothing"),
        ("occurrences", {"times": MISSING}, "times", "nothing"),
        ("occurrences", {"within": MISSING}, "within", "nothing"),
        ("change", {"within": MISSING}, "within", "nothing"),
        ("rate", {"within": MISSING}, "within", "nothing"),
        ("daily", {"statistic": MISSING}, "statistic", "nothing"),
        ("daily", {"above": MISSING}, "above", "nothing"),
        ("reference", {"rise": MISSING}, "rise", "nothing"),
        ("silence", {"missed_days": MISSING}, "max_gap", "nothing"),
        ("silence", {"parameters": []}, "parameters", "[]"),
        ("silence", {"priority": MISSING}, "priority", "nothing"),
        ("limit", {"levels": []}, "levels", "[]"),
    ],
    "more than six decimals": [
        ("limit", {"levels": [{"priority": "low", "below": 90.1234567}]}, "levels[0].below", "90.1234567"),
        ("limit", {"hysteresis": 0.1234567}, "hysteresis", "0.1234567"),
        ("occurrences", {"rearm": 0.1234567}, "rearm", "0.1234567"),
        ("change", {"rise": 2.1234567}, "rise", "2.1234567"),
        ("rate", {"fall_per": 2.1234567}, "fall_per", "2.1234567"),
        ("variation", {"fall_percent": 2.1234567}, "fall_percent", "2.1234567"),
        ("variation", {"minimum": 2.1234567}, "minimum", "2.1234567"),
    ],
    "min_readings of 0 but for count and sum": [
        ("daily", {"min_readings": 0}, "min_readings", "0"),
        ("variation", {"min_readings": 0}, "min_readings", "0"),
        ("baseline", {"min_readings": 0}, "min_readings", "0"),
    ],
    "reserved names": [("limit", {"kind": "all"}, "kind", "reserved"), ("limit", {"kind": "any"}, "kind", "reserved")],
    "a disabled silence": [("silence", {"enabled": False}, "enabled", "false")],
}

TAKEN = [(kind, {}) for kind in BY_KIND] + [
    ("daily", {"parameter": leak, "days": days}) for days in range(3, 8)
    for leak in ("ventilation-leak-total", "ventilation-leak-unintentional")] + [
    ("daily", {"unit": "L/s", "above": 0.4}),
    ("daily", {"statistic": "count", "above": MISSING, "below": 24, "min_readings": 0}),
    ("daily", {"parameter": "insulin-bolus", "unit": "[iU]", "statistic": "sum", "above": 5000, "days": 30}),
    ("baseline", {"over": 90, "min_days": 90, "days": 30}),
    ("occurrences", {"times": 256, "within": "16d", "mode": "sample", "rearm": 16, "above": 250}),
    ("change", {"within": "35d", "count": 2, "clear_count": 3}),
    ("limit", {"levels": [BELOW, {"priority": "high", "below": 90}]}),
    ("limit", {"for": "10m", "max_gap": "1h", "count": 3}),
    ("limit", {"enabled": False}),
    ("silence", {"missed_days": 31, "max_gap": "31d"}),
]


@functools.lru_cache(None)
def directory():
    return base.work_directory("rules-check")


def rule_of(kind, changes):
    rule = dict({"id": "x." + kind, "kind": kind}, **BY_KIND[kind])
    rule.update(changes)
    return {key: value for key, value in rule.items() if value is not MISSING}


def check_lines(name, rows):
    path = os.path.join(directory(), name)
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
    done = subprocess.run([vigied.CTL, "--config", "/dev/null", "rules", "check", path], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    return path, done.returncode, done.stdout.decode(), done.stderr.decode().splitlines()


def test_every_reason_is_told_with_key_found_and_expected():
    cases = [(reason, case) for reason, group in REFUSED.items() for case in group]
    path, status, _, errors = check_lines("refused.ndjson", [rule_of(kind, changes) for _, (kind, changes, _, _) in cases])
    base.equal(status, 65, errors[:3])
    base.equal(len(errors), len(cases), "one line a refused rule", errors)
    for number, ((reason, case), line) in enumerate(zip(cases, errors), 1):
        start = "%s:%d: %s, found " % (path, number, case[2])
        base.check(line.startswith(start), reason, case, line)
        found, expected = line[len(start):].split(", expected ", 1)
        base.check(case[3] in found and len(expected) > 5, reason, case, line)


def test_what_stays_within_is_taken():
    _, status, output, errors = check_lines("taken.ndjson", [rule_of(*case) for case in TAKEN])
    base.equal((status, errors), (0, []), output)
    base.check("%d rules good" % len(TAKEN) in output, output)


def test_an_import_file_is_checked_by_its_rules():
    rows = [{"type": "organization", "ref": "O", "name": "O"}, {"type": "rule", "line": "l", "author": "A", "role": "physician",
                                                              "reason": "r", "rule": rule_of("event", {"classes": {}})}]
    path, status, _, errors = check_lines("import.ndjson", rows)
    base.equal((status, len(errors)), (65, 1), errors)
    base.check(errors[0].startswith(path + ":2: classes, found {}, expected "), errors)
