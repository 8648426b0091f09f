#!/usr/bin/python3
"""Which folder may include which: a row includes only from rows above it, or from its own folder."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.harness import tree  # noqa: E402

# folder: the folders above it that it may include from
ROWS = ["daemon/base", "daemon/model", "config", "storage", "alerting", "daemon/history", "daemon/registry", "daemon/ingest",
        "daemon/admin", "daemon"]
ALLOWED = {row: set(ROWS[:index + 1]) for index, row in enumerate(ROWS)}
# What the ways in say: folders below daemon/ingest. It knows them by its tables; the parsers know nothing of it.
DECODERS = ["daemon/ingest/" + name for name in ("pull", "readings", "fhir", "hl7", "mqtt")]
for index, folder in enumerate(DECODERS):
    ALLOWED[folder] = ALLOWED["daemon/ingest"] | set(DECODERS[:index + 1])
ALLOWED["daemon/ingest/pull"] = {"daemon/base", "daemon/model", "daemon/ingest/pull"}
for row in ("daemon/ingest", "daemon"):
    ALLOWED[row] = ALLOWED[row] | set(DECODERS)
ALLOWED["daemon/ctl"] = {row for row in ROWS if row != "daemon/ingest"} | {"daemon/ctl"}
ALLOWED["bench"] = set(ROWS) | set(DECODERS) | {"bench"}
# Tables of facts are data, not code: the model is made from rows that lie in config/.
TABLES = {("daemon/model", "config"): re.compile(r"\.def$")}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def judge(path, included):
    """A fault as text, or None."""
    from_folder, to_folder = os.path.dirname(path), os.path.dirname(included)
    if not os.path.exists(os.path.join(tree.ROOT, included)):
        return "includes %s, which is not there (paths start at the root)" % included
    table = TABLES.get((from_folder, to_folder))
    if to_folder in ALLOWED[from_folder] or (table and table.search(included)):
        return None
    return "includes %s: %s may include from %s" % (included, from_folder, ", ".join(sorted(ALLOWED[from_folder])))


def cycles(edges):
    """Headers that include each other, found by walking down from each."""
    faults, done = [], set()

    def walk(path, trail):
        if path in trail:
            faults.append("include cycle: " + " -> ".join(trail[trail.index(path):] + [path]))
            return
        if path in done:
            return
        for below in edges.get(path, []):
            walk(below, trail + [path])
        done.add(path)

    for path in sorted(edges):
        walk(path, [])
    return faults


def main():
    faults, edges = [], {}
    paths = tree.files(".c", ".h", ".def", under=["daemon", "alerting", "storage", "config", "bench"])
    for path in paths:
        if os.path.dirname(path) not in ALLOWED:
            faults.append("%s: folder is not in the table of tests/lint/layers.py" % path)
            continue
        text = tree.read(path)
        for match in INCLUDE.finditer(text):
            fault = judge(path, match.group(1))
            if fault:
                faults.append("%s:%d: %s" % (path, tree.line_of(text, match.start(1)), fault))
            if path.endswith(".h"):
                edges.setdefault(path, []).append(match.group(1))
    tree.finish("layers", faults + cycles(edges), len(paths))


if __name__ == "__main__":
    main()
