"""systemd/vigied.service: its score, that it installs, and that the cage which the tests make of it bites."""
import json
import os
import re
import subprocess

from tests.harness import base, sandbox

PLAIN_ONLY = "sanitizers need what the unit forbids"
EXPOSURE_MAX = 1.5
PYTHON = os.path.realpath("/usr/bin/python3")

# Tried inside; each gives the name of the error, or "done". What vigied must be able to do stands there too.
PROBES = '''
import ctypes, errno, json, mmap, os, resource, signal, socket, sys

state, outside, tree = sys.argv[1:]
def tried(action):
    try:
        action()
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]
def write(path):
    with open(path, "w") as file:
        file.write("x")
def executes():
    os.execv("/bin/true", ["true"])
libc = ctypes.CDLL(None, use_errno=True)
def called(name, *arguments):
    return "done" if getattr(libc, name)(*arguments) >= 0 else errno.errorcode[ctypes.get_errno()]
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "write state_dir": tried(lambda: write(state + "/probe")),
    "write beside it": tried(lambda: write(outside + "/probe")),
    "write /etc": tried(lambda: write("/etc/vigie-probe")),
    "write tree": tried(lambda: write(tree + "/probe")),
    "write /tmp": tried(lambda: write("/tmp/vigie-probe")),
    # but for what is bound in: a tree that lies below /tmp itself
    "/tmp is private": set(os.listdir("/tmp")) <= {"vigie-probe", (tree + "///").split("/")[2]} or os.listdir("/tmp"),
    "execve": tried(executes),
    "execve own file": tried(lambda: os.execv(state + "/program", ["program"])),
    "packet socket": tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "netlink socket": tried(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
    "unix socket": tried(lambda: socket.socket(socket.AF_UNIX).close()),
    "inet socket": tried(lambda: socket.socket(socket.AF_INET).close()),
    "writable code": tried(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)),
    "chown": tried(lambda: os.chown(state + "/probe", 1, 1)),
    "setuid bit": tried(lambda: os.chmod(state + "/probe", 0o4700)),
    "nice": tried(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
    "namespace": called("unshare", 0x10000000),
    "personality": called("personality", 0x40000),
    "mlock": called("mlock", ctypes.create_string_buffer(4096), 4096),
    "setpriority": called("setpriority", 0, 0, 5),
    "home": tried(lambda: os.listdir("/root")),
    "users": open("/proc/self/uid_map").read().split()[2],
    "kernel settings": tried(lambda: os.listdir("/proc/sys")),
    "devices": sorted(os.listdir("/dev")),
    "capabilities": [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")],
    "new privileges": int(status["NoNewPrivs"]),
    "filters": int(status["Seccomp"]),
    "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
    "files": resource.getrlimit(resource.RLIMIT_NOFILE)[1] <= 65536,
    "mode of a new file": oct(os.stat(state + "/probe").st_mode & 0o777),
}))
'''
EXPECTED = {
    "write state_dir": "done", "write beside it": "EROFS", "write /etc": "EROFS", "write tree": "EROFS",
    "write /tmp": "done", "/tmp is private": True, "execve": "EACCES", "execve own file": "EACCES",
    "packet socket": "EAFNOSUPPORT", "netlink socket": "EAFNOSUPPORT", "unix socket": "done", "inet socket": "done",
    "writable code": "EPERM", "chown": "EPERM", "setuid bit": "EPERM", "nice": "EPERM", "kernel settings": "ENOENT",
    "namespace": "EPERM", "personality": "EPERM", "mlock": "EPERM", "setpriority": "EPERM", "home": "EACCES", "users": "1",
    "devices": ["full", "null", "random", "tty", "urandom", "zero"], "capabilities": [0, 0, 0], "new privileges": 1,
    "filters": 2, "core": 0, "files": True, "mode of a new file": "0o600",
}


def test_exposure_is_small():
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=%d" % (10 * EXPOSURE_MAX),
                           "--no-pager", sandbox.UNIT], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60)
    score = re.search(r"Overall exposure level for vigied.service: ([0-9.]+)", done.stdout.decode())
    base.check(score, "a score", done.stdout.decode()[-300:], done.stderr.decode())
    print("exposure of vigied.service: %s (at most %.1f)" % (score.group(1), EXPOSURE_MAX))
    base.equal(done.returncode, 0, "exposure", score.group(1))
    base.check(float(score.group(1)) <= EXPOSURE_MAX, "exposure", score.group(1))
    with open(sandbox.UNIT) as unit:  # so that no option goes without somebody saying so
        base.equal(score.group(1), re.search(r"--offline=yes` gives ([0-9.]+)", unit.read()).group(1), "what the unit says")


def test_the_cage_bites():
    if not sandbox.is_possible():
        raise base.Unavailable("no cage here")
    place = base.work_directory("unit")
    state = os.path.join(place, "state")
    os.makedirs(state, 0o700)
    with open(os.open(os.path.join(state, "program"), os.O_WRONLY | os.O_CREAT, 0o700), "w") as file:
        file.write("#!/bin/sh\n")
    command = sandbox.command([PYTHON, "-c", PROBES, state, place, base.ROOT], [state], [place], [PYTHON])
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    base.equal(done.returncode, 0, done.stderr.decode()[-2000:])
    found = json.loads(done.stdout)
    for name, expected in EXPECTED.items():
        base.equal(found[name], expected, name)


def test_a_key_that_no_test_runs_under_is_noticed():
    if not sandbox.is_possible():
        raise base.Unavailable("no cage here")
    place = base.work_directory("unit-key")
    path = os.path.join(place, "other.service")
    with open(sandbox.UNIT) as unit, open(path, "w") as other:
        other.write(unit.read().replace("LimitCORE=0", "LimitCORE=0\nLimitSTACK=1M"))
    done = subprocess.run(sandbox.command([sandbox.DAEMON, "--version"], [], unit=path), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    base.equal(done.returncode, 70, done.stderr.decode())
    base.check(b"LimitSTACK" in done.stderr, done.stderr)


def test_install_brings_unit_user_and_directories():
    root = base.work_directory("install")
    subprocess.run(["make", "-s", "BUILD=" + os.path.relpath(base.BUILD, base.ROOT), "install", "DESTDIR=" + root],
                   cwd=base.ROOT, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    for path in ("lib/systemd/system/vigied.service", "usr/lib/sysusers.d/vigie.conf", "usr/lib/tmpfiles.d/vigie.conf",
                 "usr/bin/vigied", "usr/bin/vigiectl", "etc/vigie/vigie.conf.example"):
        base.check(os.path.exists(os.path.join(root, path)), path)
    for path in ("etc/passwd", "etc/group"):
        with open(os.path.join(root, path), "w") as file:
            file.write("root:x:0:0:root:/root:/bin/sh\n" if path == "etc/passwd" else "root:x:0:\n")
    subprocess.run(["systemd-sysusers", "--root=" + root, "vigie.conf"], check=True, stdin=subprocess.DEVNULL)
    subprocess.run(["systemd-tmpfiles", "--root=" + root, "--create", "vigie.conf"], check=True, stdin=subprocess.DEVNULL)
    for path, mode in (("etc/vigie", 0o750), ("etc/vigie/tls", 0o750), ("var/lib/vigie", 0o750)):
        base.equal(os.stat(os.path.join(root, path)).st_mode & 0o777, mode, path)
    with open(os.path.join(root, "etc/passwd")) as file:
        base.check("vigie:" in file.read(), "the user is made")
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", "--root=" + root, "vigied.service"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    faults = [line for line in verified.stderr.decode().split("\n") if "vigied.service" in line and "Unknown" in line]
    base.equal(faults, [], "systemd-analyze verify")
