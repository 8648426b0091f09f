#!/usr/bin/python3
"""Runs the tests: `tests/run.py [GROUP | FILE.py | FILE.py::test_name]...`, nothing named = every group.

A group is a list of commands and of Python files; each runs in a process group of its own, which is ended when its
time is over, so nothing is left running. A Python test is a function test_* of a file test_*.py; it passes
when it returns. Ends with the line `N passed, N failed`, and with `, N skipped` when something of the machine was
missing; with CI=true what is missing is a failure.
"""
import glob
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
sys.dont_write_bytecode = True
from tests.harness import base  # noqa: E402

BUILD = os.environ.get("BUILD", "build")

# group: (seconds for one file or command, commands, pattern of Python files), in the order in which a failure
# says most: lowest layer first.
GROUPS = {
    "lint":        (300, ["tests/lint/*.sh", "tests/lint/*.py"], "tests/harness/test_*.py"),
    "unit":        (900, [BUILD + "/unit"], None),
    "oracle":      (300, [], "tests/oracle/test_*.py"),
    "reference":   (600, [], "tests/reference/test_*.py"),
    "crash":       (300, ["tests/crash/run.sh"], None),
    "fuzz":        (600, ["tests/fuzz/run.sh"], None),
    "integration": (300, [], "tests/integration/test_*.py"),
    "system":      (600, [], "tests/system/test_*.py"),
    "outages":     (600, [], "tests/system/test_outages.py"),
    "kills":       (1500, [], "tests/system/test_kill.py"),
    "asan":        (1500, ["tests/sanitizers/asan.sh"], None),
    "tsan":        (2400, ["tests/sanitizers/tsan.sh"], None),
}
OWN_GROUP = ["tests/system/test_outages.py", "tests/system/test_kill.py"]  # long: not part of their folder's group
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []

    def add(self, name, state, seconds, text=""):
        if state == "skipped" and base.IN_CI:
            state = "failed"
        print("%-7s %6.1f s  %s" % (state, seconds, name), flush=True)
        if state == "passed":
            self.passed += 1
            return
        if text:
            print("        " + text.strip().replace("\n", "\n        "), flush=True)
        if state == "failed":
            self.failed += 1
            self.failures.append(name)
        else:
            self.skipped += 1


def end_group(child):
    """Ends the child and whatever it started in its process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            break
        time.sleep(1.0 if number == signal.SIGTERM else 0.1)
    child.wait()


def run_command(path, seconds, tally):
    """A program of lint or unit tests: exit status 0 passes; a line `N passed, N failed` counts as that many."""
    started = time.monotonic()
    interpreter = [sys.executable] if path.endswith(".py") else []
    child = subprocess.Popen(interpreter + [path], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output = child.communicate(timeout=seconds)[0].decode(errors="replace")
        status = child.returncode
    except subprocess.TimeoutExpired:
        end_group(child)
        output, status = "not done within %d s" % seconds, 1
    took = time.monotonic() - started
    counts = COUNTS.findall(output)
    if counts and int(counts[-1][1]) == 0 and status == 0:
        tally.add("%s (%s)" % (path, counts[-1][0]), "passed", took)
        tally.passed += int(counts[-1][0]) - 1
    else:
        tally.add(path, "passed" if status == 0 else "failed", took, "" if status == 0 else output[-6000:])
        if counts:
            tally.passed += int(counts[-1][0])
            tally.failed += max(0, int(counts[-1][1]) - 1)


def run_file(path, wanted, seconds, tally):
    """A Python file in a process of its own; its results come as lines of JSON through a pipe."""
    reader, writer = os.pipe()
    child = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--file", path, str(writer), wanted or ""],
                             cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=[writer], start_new_session=True)
    os.close(writer)
    timer_fired = []

    def over(number, frame):
        timer_fired.append(True)
        os.killpg(child.pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    count = 0
    with os.fdopen(reader, buffering=1) as lines:
        for line in lines:
            count += 1
            tally.add(*json.loads(line))
    status = child.wait()
    signal.alarm(0)
    end_group(child)
    if timer_fired:
        tally.add(path, "failed", seconds, "not done within %d s" % seconds)
    elif status != 0:
        tally.add(path, "failed", 0, "ended with status %d" % status)
    elif count == 0:
        tally.add(path, "failed", 0, "has no test" + (" named " + wanted if wanted else ""))


def child_main(path, writer, wanted):
    """In the child: runs the functions in the order in which they stand."""
    def report(*result):
        os.write(writer, (json.dumps(result) + "\n").encode())

    os.set_inheritable(writer, False)
    spec = importlib.util.spec_from_file_location("test", os.path.join(ROOT, path))
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except base.Unavailable as error:
        report(path, "skipped", 0, str(error))
        return
    for name, function in list(vars(module).items()):
        if not name.startswith("test_") or not callable(function) or (wanted and name != wanted):
            continue
        started, state, text = time.monotonic(), "passed", ""
        try:
            function()
        except base.Unavailable as error:
            state, text = "skipped", str(error)
        except base.Failure:
            state, text = "failed", traceback.format_exc()[-3000:]
        except Exception:
            state, text = "failed", traceback.format_exc()[-3000:]
        report("%s::%s" % (path, name), state, time.monotonic() - started, text)
    if hasattr(module, "tear_down"):
        module.tear_down()


def seconds_of(path):
    return max([seconds for seconds, _, pattern in GROUPS.values()
                if pattern and path in glob.glob(pattern, root_dir=ROOT)], default=600)


def is_for_this_build(path):
    """A file that says PLAIN_ONLY = "why" does not run under sanitizers, in a group or named."""
    if not base.is_sanitized():
        return True
    with open(os.path.join(ROOT, path)) as file:
        why = re.search(r'^PLAIN_ONLY = "(.*)"$', file.read(), re.M)
    if why:
        print("left out         %s: %s" % (path, why.group(1)), flush=True)
    return not why


def files_of(pattern):
    found = sorted(glob.glob(pattern, root_dir=ROOT)) if pattern else []
    return [path for path in found if (path == pattern or path not in OWN_GROUP) and is_for_this_build(path)]


def run_group(name, tally):
    seconds, commands, pattern = GROUPS[name]
    print("== " + name, flush=True)
    for command in commands:
        found = sorted(glob.glob(command, root_dir=ROOT))
        if not found and "*" not in command:
            tally.add(command, "failed", 0, "is not there: built?")
        for path in found:
            run_command(path, seconds, tally)
    for path in files_of(pattern):
        run_file(path, None, seconds, tally)


def main(arguments):
    if arguments[:1] == ["--file"]:
        child_main(arguments[1], int(arguments[2]), arguments[3])
        return 0
    os.chdir(ROOT)
    tally = Tally()
    for argument in arguments or list(GROUPS):
        if argument in GROUPS:
            run_group(argument, tally)
        else:
            path, _, wanted = argument.partition("::")
            if not is_for_this_build(path):
                continue
            run_file(os.path.relpath(path, ROOT), wanted, seconds_of(path), tally)
    if tally.failures:
        print("failed: " + " ".join(tally.failures))
    line = "%d passed, %d failed" % (tally.passed, tally.failed)
    print(line + (", %d skipped" % tally.skipped if tally.skipped else ""))
    return 0 if tally.failed == 0 and tally.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
