"""What the lints share: the files of the tree, and C text without comments and strings. No lint by itself."""
import os
import re
import sys

ROOT = os.environ.get("LINT_ROOT") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOP = ["daemon", "alerting", "storage", "config", "bench", "tests", "systemd", ".ci"]


def files(*suffixes, under=None):
    """Paths relative to the root of our files with one of the suffixes (none: all)."""
    found = []
    for top in under or TOP:
        for folder, folders, names in os.walk(os.path.join(ROOT, top)):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names]
    if under is None:
        found += [name for name in os.listdir(ROOT)
                  if os.path.isfile(os.path.join(ROOT, name)) and name != ".git"]  # a file in a linked worktree
    return sorted(path for path in found if not suffixes or path.endswith(tuple(suffixes)))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def blank(match):
    """Spaces in place of what is taken out, so that line numbers stay."""
    return re.sub(r"[^\n]", " ", match.group(0))


def code_of(text):
    """C source with comments, strings and character constants blanked."""
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def finish(name, faults, checked):
    for fault in faults:
        print(fault)
    if checked == 0:
        faults.append("")
        print("%s: looked at nothing" % name)
    print("%s: %d looked at, %d faults" % (name, checked, len(faults)))
    sys.exit(1 if faults else 0)
