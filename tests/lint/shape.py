#!/usr/bin/python3
"""Shape of the sources: no function over 70 lines, no header over 120, no line over 130 columns.

A function is what stands between a line "{" and the next line "}": the format puts nothing else there.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.harness import tree  # noqa: E402

FUNCTION_LINES_MAX, HEADER_LINES_MAX, COLUMNS_MAX = 70, 120, 130


def functions(lines):
    """(line, length) of each function; the length counts its braces."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{" and start is None:
            start = number
        elif line == "}" and start is not None:
            yield start, number - start + 1
            start = None


def main():
    faults, lengths = [], []
    paths = tree.files(".c", ".h")
    for path in paths:
        lines = tree.read(path).split("\n")
        in_tests = path.startswith("tests/")
        for number, length in functions(lines):
            lengths.append(length)
            if length > FUNCTION_LINES_MAX and not in_tests:
                faults.append("%s:%d: function of %d lines, at most %d" % (path, number, length, FUNCTION_LINES_MAX))
        if path.endswith(".h") and len(lines) - 1 > HEADER_LINES_MAX:
            faults.append("%s: header of %d lines, at most %d" % (path, len(lines) - 1, HEADER_LINES_MAX))
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX and not in_tests:
                faults.append("%s:%d: %d columns, at most %d" % (path, number, len(line), COLUMNS_MAX))
    lengths.sort()
    if lengths:
        print("functions: %d, median %d lines, 95th percentile %d, longest %d" % (
            len(lengths), lengths[len(lengths) // 2], lengths[len(lengths) * 95 // 100], lengths[-1]))
    tree.finish("shape", faults, len(paths))


if __name__ == "__main__":
    main()
