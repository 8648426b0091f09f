"""The cage of systemd/vigied.service around the daemon of a test, by build/sandbox (tests/harness/sandbox.c)."""
import functools
import os
import subprocess

from tests.harness import base

PROGRAM = os.path.join(base.ROOT, "build", "sandbox")
UNIT = os.path.join(base.ROOT, "systemd", "vigied.service")
DAEMON = os.path.join(base.BUILD, "vigied")
COVERED = os.path.basename(base.BUILD) == "cover"  # writes its counts next to the objects: no cage


def command(program, writable, readable=(), executable=(), unit=UNIT, seccomp=not base.is_sanitized()):
    """The command that runs `program` (a list) caged; it may write to the directories `writable` alone.
    Sanitizers trace their own process, map as they like and read what the unit hides: they get the file systems alone."""
    words = [PROGRAM, unit, "--ro", base.ROOT, "--exec", base.BUILD]
    for path in readable:
        words += ["--ro", path]
    for path in executable:
        words += ["--exec", path]
    for path in writable:
        os.makedirs(path, 0o750, exist_ok=True)  # systemd makes StateDirectory before the start
        words += ["--rw", path]
    return words + ([] if seccomp else ["--no-seccomp"]) + ["--"] + program


@functools.lru_cache(None)
def is_possible():
    """False where neither root nor user namespaces are to be had; in CI that is a failure."""
    if COVERED:
        return False
    source = os.path.join(base.ROOT, "tests", "harness", "sandbox.c")
    if not os.path.exists(PROGRAM) or os.path.getmtime(PROGRAM) < os.path.getmtime(source):
        subprocess.run(["make", "-s", "BUILD=build", "build/sandbox"], cwd=base.ROOT, check=True, stdin=subprocess.DEVNULL)
    done = subprocess.run(command([DAEMON, "--version"], []), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=30)
    if done.returncode == 0:
        return True
    base.check(done.returncode == 71 and not base.IN_CI, "the cage of the unit", done.returncode, done.stderr.decode())
    print("vigied runs without the cage of its unit: " + done.stderr.decode().strip())
    return False
