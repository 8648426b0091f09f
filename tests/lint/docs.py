#!/usr/bin/python3
"""Documents and tables say the same: options and their example, metrics, parameters, make targets."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.harness import tree  # noqa: E402

SHARED = os.path.join(tree.ROOT, "..", "shared")
METRICS = """vigie_readings_total vigie_ack_seconds vigie_alert_delivery_seconds vigie_alerts_total
vigie_journal_sync_seconds vigie_sink_lag_records vigie_sink_lag_seconds vigie_connections vigie_quarantine_rows
vigie_silence_lateness_seconds vigie_journal_free_bytes""".split()


def differences(what, here, there, where_here, where_there):
    return (["%s %s: in %s, not in %s" % (what, name, where_here, where_there) for name in sorted(here - there)]
            + ["%s %s: in %s, not in %s" % (what, name, where_there, where_here) for name in sorted(there - here)])


def options_of_table():
    rows = re.findall(r"^OPTION\((\w+),\s*(\w+),", tree.read("config/options.def"), re.M)
    return {"%s.%s" % row for row in rows}


def options_of_example():
    section, found = "", set()
    for line in tree.read("config/vigie.conf.example").split("\n"):
        heading = re.match(r"\[(\w+)\]", line)
        key = re.match(r";?\s?([a-z_]+) =", line)
        if heading:
            section = heading.group(1)
        elif key:
            found.add("%s.%s" % (section, key.group(1)))
    return found


def check_metrics():
    """Each metric that dashboards rely on is written where /metrics is made."""
    text = "".join(tree.read(path) for path in tree.files(".c", ".h", ".def", under=["daemon"]))
    return ["metric %s: in no source of the daemon" % name for name in METRICS
            if name not in text and '"%s"' % name[len("vigie_"):] not in text]


def parameters_of_page(path):
    names = set()
    with open(path, encoding="utf-8") as file:
        for line in file:
            first = line.split("|")[1].strip() if line.startswith("|") else ""
            if first and first != "name" and not first.startswith("-"):
                names.update(re.split(r"\s*[,·]\s*", first))
    return names


def check_parameters():
    page = os.path.join(SHARED, "PARAMETERS.md")
    here = set(re.findall(r'^PARAMETER\w*\(\w+,\s*"([^"]+)"', tree.read("config/parameters.def"), re.M))
    if not here:
        return ["config/parameters.def: no row found"]
    if not os.path.exists(page):
        return []
    plain = {name.split("@")[0] for name in here}
    return differences("parameter", plain, parameters_of_page(page), "config/parameters.def", "PARAMETERS.md")


def check_readme():
    """What the README shows as a command exists, and each option it names too."""
    text = tree.read("README.md")
    rules = tree.read("Makefile") + tree.read("tests/tests.mk")
    targets = set(re.findall(r"^([a-z][a-z-]*):", rules, re.M))
    faults = ["README.md: make %s is no target" % name
              for name in sorted(set(re.findall(r"`make ([a-z][a-z-]*)", text)) - targets)]
    known = options_of_table()
    sections = "|".join(sorted({name.split(".")[0] for name in known}))
    named = set(re.findall(r"`\[(%s)\] ([a-z_]+)" % sections, text))
    return faults + ["README.md: option [%s] %s is not in config/options.def" % name
                     for name in sorted(named) if "%s.%s" % name not in known]


def main():
    faults = differences("option", options_of_table(), options_of_example(), "config/options.def",
                         "config/vigie.conf.example")
    faults += check_metrics() + check_parameters() + check_readme()
    tree.finish("docs", faults, len(options_of_table()) + len(METRICS))


if __name__ == "__main__":
    main()
