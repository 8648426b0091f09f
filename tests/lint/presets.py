#!/usr/bin/python3
"""Presets: config/PRESETS.md says what the files hold, each line has one silence rule, each number stands in its source.

`tests/lint/presets.py --write` writes the tables of config/PRESETS.md anew.
"""
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.harness import tree  # noqa: E402

PAGE = "config/PRESETS.md"
BEGIN, END = "<!-- tables: tests/lint/presets.py --write -->", "<!-- end of tables -->"
HEADING = "| rule | what raises it | priority | where its numbers come from |\n|---|---|---|---|\n"
NUMBERS = ("below", "above", "rise", "fall", "rise_percent", "fall_percent", "rise_per", "fall_per", "rearm", "hysteresis",
           "missed_days", "over", "minimum", "times")
WORDS = {"rise": "more than %s %s above", "fall": "more than %s %s below", "rise_percent": "more than %s %% above",
         "fall_percent": "more than %s %% below"}
TAGS = {"TEXT", "FAQ", "ANS", "CLIN", "INF"}  # of REGULATION.md; nothing else is a source


def load(path):
    """Numbers as they were written."""
    return json.loads(tree.read(path), parse_float=str, parse_int=str)


def amounts(rule, against):
    return " or ".join(WORDS[key] % ((rule[key], rule["unit"]) if "percent" not in key else rule[key]) + " " + against
                       for key in WORDS if key in rule)


def bounds(rule):
    return " or ".join("%s %s" % (key, rule[key]) for key in ("below", "above") if key in rule)


def limit(rule):
    levels = ", ".join("%s (%s)" % (bounds(level), level["priority"]) for level in rule["levels"])
    return "%s %s" % (levels, rule["unit"])


def daily(rule):
    return "%s of a day %s %s, on %s day(s)" % (rule["statistic"], bounds(rule), rule["unit"], rule.get("days", "1"))


def silence(rule):
    parts = ["nothing for " + rule["max_gap"]] if "max_gap" in rule else []
    parts += ["%s days without data" % rule["missed_days"]] if "missed_days" in rule else []
    return " or ".join(parts) + " of any of " + ", ".join("`%s`" % name for name in rule["parameters"])


KINDS = {
    "limit": limit,
    "daily": daily,
    "silence": silence,
    "change": lambda rule: amounts(rule, "another reading of the last " + rule["within"]),
    "reference": lambda rule: amounts(rule, "the patient's reference `%s`" % rule["reference"]),
    "baseline": lambda rule: "%s of a day " % rule["statistic"]
                + amounts(rule, "the median of the %s days before (at least %s with data)" % (rule["over"], rule["min_days"])),
    "event": lambda rule: "the device's own alarm: " + ", ".join("class `%s`" % name for name in rule["classes"]),
}


def priorities(rule):
    if "priority" in rule:
        return rule["priority"]
    named = [level["priority"] for level in rule.get("levels", [])] or list(rule["classes"].values())
    return ", ".join(sorted(set(named), key=["low", "medium", "high"].index))


def row(rule):
    what = "`%s`: " % rule["parameter"] if "parameter" in rule else ""
    what += KINDS[rule["kind"]](rule)
    if "day_start" in rule:
        what += ", days from " + rule["day_start"]
    return "| `%s` | %s<br>*%s* | %s | %s [%s] |\n" % (rule["id"], what, rule["text"]["fr"], priorities(rule),
                                                    rule["source"], rule["tag"])


def table(preset):
    return "### `%s`, version %s\n\n%s%s\n" % (preset["line"], preset["version"], HEADING,
                                               "".join(row(rule) for rule in preset["rules"]))


def numbers(rule):
    found = [value for part in [rule] + rule.get("levels", []) for key, value in part.items() if key in NUMBERS]
    return found + [rule[key][:-1] for key in ("max_gap",) if key in rule]


def check_rule(path, rule):
    where = "%s %s: " % (path, rule["id"])
    faults = [where + "%s does not stand in its source" % number for number in numbers(rule)
              if not re.search(r"(?<![\d.,])%s(?![\d]|\.\d)" % re.escape(number[:-2] if number.endswith(".0") else number),
                               rule["source"])]
    if rule["tag"] not in TAGS:
        faults.append(where + "tag %s, expected one of %s" % (rule["tag"], " ".join(sorted(TAGS))))
    if set(rule["text"]) != {"fr", "en"} or rule["text"]["fr"] == rule["text"]["en"]:
        faults.append(where + "a text in French and one in English")
    return faults


def check_preset(path, preset):
    silent = [rule for rule in preset["rules"] if rule["kind"] == "silence"]
    faults = [] if len(silent) == 1 else ["%s: %d silence rules, expected one" % (path, len(silent))]
    if preset["preset"] != preset["line"] or os.path.basename(path) != preset["line"] + ".json":
        faults.append("%s: file, preset and line have one name" % path)
    return faults + [fault for rule in preset["rules"] for fault in check_rule(path, rule)]


def main():
    paths = tree.files(".json", under=["config/presets"])
    presets = [load(path) for path in paths]
    tables = BEGIN + "\n\n" + "".join(map(table, presets)) + END
    page = tree.read(PAGE)
    made = re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda match: tables, page, flags=re.S)
    if "--write" in sys.argv:
        with open(os.path.join(tree.ROOT, PAGE), "w", encoding="utf-8") as file:
            file.write(made)
        return
    faults = [fault for path, preset in zip(paths, presets) for fault in check_preset(path, preset)]
    if made != page or tables not in page:
        faults.append(PAGE + ": not what the presets hold: tests/lint/presets.py --write")
    tree.finish("presets", faults, len(paths))


if __name__ == "__main__":
    main()
