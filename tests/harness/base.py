"""What every part of the harness needs: paths, free ports, waiting, child processes that do not outlive us."""
import atexit
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
IN_CI = os.environ.get("CI") == "true"


class Unavailable(Exception):
    """Something of the machine is missing: a skip on a developer's machine, a failure in CI."""


def is_sanitized():
    """Whether the programs under test are those of `make asan` or `make tsan`."""
    return os.path.basename(BUILD) in ("asan", "tsan")


class Failure(Exception):
    """A check did not hold."""


def check(condition, *what):
    if not condition:
        raise Failure(" ".join(str(part) for part in what) or "check failed")


def equal(found, expected, *what):
    if found != expected:
        raise Failure("%s: found %r, expected %r" % (" ".join(map(str, what)), found, expected))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, condition, seconds=30, every=0.05):
    """Calls `condition` until it gives something true and returns that; says what was awaited if it never does."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise Failure("not within %g s: %s" % (seconds, what))
        time.sleep(every)


def fresh_directory(path):
    """An empty directory; what was there is removed (only below build/ or /tmp)."""
    path = os.path.abspath(path)
    if not (path.startswith(os.path.join(ROOT, "build") + os.sep) or path.startswith("/tmp/")):
        raise ValueError("will not empty " + path)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def work_directory(name):
    return fresh_directory(os.path.join(BUILD, "test", name))


_children = []
_own_sessions = False


def own_sessions():
    """From now on children get a session of their own: Ctrl-C on the terminal then reaches us alone, and they end
    with us even if we are killed."""
    global _own_sessions
    _own_sessions = True


def _end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _end_children():
    for child in _children:
        if child.poll() is None:
            child.kill()
            child.wait()


atexit.register(_end_children)


def spawn(command, log_path, **options):
    """A child in our own process group, its output in a file; killed at the latest when we end."""
    if _own_sessions:
        options.update(start_new_session=True, preexec_fn=_end_with_parent)
    options.setdefault("stdin", subprocess.DEVNULL)
    with open(log_path, "ab") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, **options)
    _children.append(child)
    return child


def daemon_pid(child):
    """vigied itself: the child, or what the cage that the child is has started."""
    with open("/proc/%d/task/%d/children" % (child.pid, child.pid)) as file:
        below = file.read().split()
    return int(below[0]) if below else child.pid


def stop_process(child, number=signal.SIGTERM, seconds=30):
    """Sends the signal, waits, and returns the exit status; kills what does not end."""
    if child.poll() is None:
        child.send_signal(number)
    try:
        status = child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        raise Failure("process %d did not end within %g s of signal %d" % (child.pid, seconds, number))
    if child in _children:
        _children.remove(child)
    return status


def tail(path, lines=15):
    try:
        with open(path, errors="replace") as file:
            return "".join(file.readlines()[-lines:])
    except OSError as error:
        return str(error)
