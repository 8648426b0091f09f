#!/usr/bin/python3
"""Calls and words that have no place: everywhere, outside one file, or on the path of a reading."""
import fnmatch
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.harness import tree  # noqa: E402


def calls(names):
    return re.compile(r"(?<![\w.>])(?:%s)\s*\(" % names)


# The path of a reading: no allocation, no lock, no clock, no formatting, but where it is set up.
HOT = ["daemon/shard.c", "daemon/base/ring.c", "daemon/base/decimal.c", "storage/journal_writer.c"]
SET_UP = re.compile(r"_(?:start|new|open|init|close|free|stop|deinit)$|^(?:new|make|open)_")

# (what, pattern, files, exempt)
PRODUCT = ["daemon/*", "alerting/*", "storage/*", "config/*"]
CODE_RULES = [
    ("assert.h: ensure() is always on", re.compile(r"#\s*include\s*<assert\.h>|\bassert\s*\("), ["*.c"], []),
    ("unbounded or stateful string call", calls(r"strcpy|strcat|sprintf|vsprintf|gets|strtok|strncpy|alloca"),
     ["*.c", "*.h"], ["tests/unit/*"]),
    ("the clock is asked in daemon/base/clock.c alone",
     calls(r"clock_gettime|gettimeofday|time|clock|clock_nanosleep|nanosleep|usleep|sleep"),
     ["*.c", "*.h"], ["daemon/base/clock.c", "tests/*"]),
    ("allocation on the path of a reading", calls(r"malloc|calloc|aligned_alloc|strdup|strndup|asprintf"),
     HOT, []),  # realloc is not named: what grows keeps its memory
    ("formatting on the path of a reading",
     calls(r"printf|fprintf|snprintf|vsnprintf|dprintf|buffer_printf|strftime"), HOT, []),
    ("lock on the path of a reading", re.compile(r"\bpthread_(?:mutex|rwlock|spin|cond)_"), HOT, []),
    ("a mutex: threads meet by rings, counters, snapshots or join",
     re.compile(r"\bpthread_(?:mutex|rwlock|spin|cond)_|\buv_mutex_"),
     PRODUCT, ["daemon/base/log.c"]),
]
# Words in any text of ours; written in pieces so that this file does not find itself.
TEXT_RULES = [
    ("debt marker", re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")),
    ("absolute path of a machine", re.compile(r"/wo" r"rk/|/ho" r"me/\w|/ro" r"ot/\w")),
    ("trailing blanks", re.compile(r"[ \t]+$", re.M)),
    ("carriage return", re.compile(r"\r")),
]


def matches(path, patterns):
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


def function_at(code, offset):
    """Name of the function around the offset; a body is what stands between a line "{" and a line "}"."""
    opened = code.rfind("\n{\n", 0, offset)
    signature = code[code.rfind("\n}\n", 0, opened) + 1:opened] if opened >= 0 else ""
    names = re.findall(r"^[^\s#][^;={}]*?(\w+)\(", signature, re.M)
    return names[-1] if names else ""


def find(path, text, what, pattern):
    return ["%s:%d: %s: %s" % (path, tree.line_of(text, match.start()), what, match.group(0).strip())
            for match in pattern.finditer(text)]


def main():
    faults = ["tests/lint/banned.py: %s is named there and does not exist" % path
              for path in HOT if not os.path.exists(os.path.join(tree.ROOT, path))]
    paths = tree.files()
    for path in paths:
        try:
            text = tree.read(path)
        except UnicodeDecodeError:
            continue
        for what, pattern in TEXT_RULES:
            faults += find(path, text, what, pattern)
        if text and not text.endswith("\n"):
            faults.append(path + ": no newline at the end")
        if path.endswith((".c", ".h")):
            code = tree.code_of(text)
            for what, pattern, where, exempt in CODE_RULES:
                if matches(path, where) and not matches(path, exempt):
                    faults += ["%s:%d: %s: %s" % (path, tree.line_of(code, match.start()), what, match.group(0))
                               for match in pattern.finditer(code)
                               if where is not HOT or not SET_UP.search(function_at(code, match.start()))]
    tree.finish("banned", faults, len(paths))


if __name__ == "__main__":
    main()
