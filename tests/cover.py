#!/usr/bin/python3
"""What tests reach, from the counts that the programs of build/cover left: `tests/cover.py [--fail-under PERCENT] [--missed FILE.c]`.

A branch is one way out of a condition, as gcov counts them in code that was not optimised. Left out are ways that no
correct run can take or that are not written by us:
  - lines of ensure(): its failing side is a defect of ours and ends the process;
  - the ways into the unwinding of exceptions, which C does not have;
  - functions of headers of libraries that the compiler put into ours.
A foreach of jansson has the three conditions of its macro; they count like any other.
Prints for each file lines and branches reached, then the totals of each folder; fails if alerting/ lies under the bound.
"""
import argparse
import collections
import glob
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OBJECTS = os.path.join(ROOT, "build", "cover", "obj")
BOUNDED = "alerting"


class Source:
    """The lines and branches of one file: how often each was taken, over all programs."""

    def __init__(self, path):
        self.path = path
        self.lines = collections.Counter()
        self.branches = collections.Counter()  # (line, number of the branch on it)
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            self.left_out = {number for number, line in enumerate(file, 1) if re.search(r"\bensure(_unreachable)?\(", line)}

    def add(self, line):
        number = line["line_number"]
        self.lines[number] += line["count"]
        if number not in self.left_out:
            for index, branch in enumerate(line["branches"]):
                if not branch["throw"]:
                    self.branches[(number, index)] += branch["count"]

    def figures(self):
        return (sum(count > 0 for count in self.lines.values()), len(self.lines),
                sum(count > 0 for count in self.branches.values()), len(self.branches))


def gcov(counts):
    """The JSON of gcov for the counts of some objects."""
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(["gcov", "--json-format", "--branch-probabilities", "--hash-filenames"] + counts, cwd=place,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        for path in glob.glob(os.path.join(place, "*.gcov.json.gz")):
            with gzip.open(path) as file:
                yield json.load(file)


def read():
    sources = {}
    counts = sorted(glob.glob(os.path.join(OBJECTS, "**", "*.gcda"), recursive=True))
    for data in (data for i in range(0, len(counts), 40) for data in gcov(counts[i:i + 40])):
        for file in data["files"]:
            path = file["file"]
            if os.path.isabs(path):
                path = os.path.relpath(path, ROOT)
            if not path.endswith(".c") or path.startswith((os.pardir, "tests/")):
                continue
            source = sources.setdefault(path, Source(path))
            for line in file["lines"]:
                source.add(line)
    return sources


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def row(name, figures):
    return "%-36s lines %6.2f %% of %5d   branches %6.2f %% of %5d" % (
        name, percent(*figures[:2]), figures[1], percent(*figures[2:]), figures[3])


def print_missed(source):
    with open(os.path.join(ROOT, source.path), encoding="utf-8") as file:
        text = file.read().split("\n")
    missed = collections.defaultdict(list)
    for (number, index), count in sorted(source.branches.items()):
        missed[number] += [index] if count == 0 else []
    for number in sorted(set(missed) | {number for number, count in source.lines.items() if count == 0}):
        if missed[number] or source.lines[number] == 0:
            print("%5d %-8s %s" % (number, "unrun" if source.lines[number] == 0 else missed[number], text[number - 1]))


def main():
    options = argparse.ArgumentParser(description="lines and branches that tests reach")
    options.add_argument("--fail-under", type=float, default=0)
    options.add_argument("--missed", action="append", default=[])
    options = options.parse_args()
    sources = read()
    if options.missed:
        for path in options.missed:
            print_missed(sources[path])
        return
    totals = collections.defaultdict(lambda: [0, 0, 0, 0])
    for path, source in sorted(sources.items()):
        print(row(path, source.figures()))
        folder = os.path.dirname(path)
        totals[folder] = [total + part for total, part in zip(totals[folder], source.figures())]
    print()
    for folder, figures in sorted(totals.items()):
        print(row(folder + "/", figures))
    bounded = totals[BOUNDED]
    reached = percent(*bounded[2:])
    print("\n%s/: %.2f %% of %d branches, at least %g %%" % (BOUNDED, reached, bounded[3], options.fail_under))
    sys.exit(1 if bounded[3] == 0 or reached < options.fail_under else 0)


if __name__ == "__main__":
    main()
