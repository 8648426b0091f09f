"""Limits and deadlines of the listeners: what a peer may hold, for how long, and who is served meanwhile."""
import ctypes
import os
import resource
import signal
import socket
import ssl
import subprocess
import time

from tests.harness import base, check
from tests.harness.site import SILENCE, Site, message, organization_rows, patient_rows, rule_row, system_row

TOKEN = "tok-system"
LIMITS = {"handshake_timeout": "1s", "first_byte_timeout": "1s", "message_timeout": "2s", "idle_timeout": "4s",
          "pause_max": "1s"}
_site = []


def site():
    if not _site:
        _site.append(Site("limits", settings={"listen": dict(LIMITS), "node": {"loops": "2"}}))
        _site[0].node.import_rows(organization_rows() + [rule_row(SILENCE)] + patient_rows("P-1")
                                  + [system_row("sys", TOKEN)])
    return _site[0]


def tear_down():
    for one in _site:
        one.close()


def reload(**listen):
    node = site().node
    node.settings["listen"] = dict({"https": "127.0.0.1:0", "http": "127.0.0.1:0", "admin": "127.0.0.1:0"}, **LIMITS)
    node.settings["listen"].update(listen)
    node.write_config()

    def words():
        with open(node.log) as file:
            return file.read().count("in force on every loop")

    before = words()
    node.child.send_signal(signal.SIGHUP)
    base.wait_for("reload\n" + base.tail(node.log), lambda: words() > before, 10, 0.01)


def body():
    import json
    return json.dumps(message("P-1", check.to_text(int(time.time() * 1000)), ("29463-7", 71.4, "kg"))).encode()


def request(data=None, token=TOKEN, length=None):
    data = body() if data is None else data
    return (b"POST /v1/readings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token.encode()
            + b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (length or len(data)) + data)


def plain(timeout=15):
    return socket.create_connection(("127.0.0.1", site().node.ports["http"]), timeout)


def sealed(timeout=15):
    node = site().node
    context = ssl.create_default_context(cafile=node.certificate)
    context.check_hostname = False
    return context.wrap_socket(socket.create_connection(("127.0.0.1", node.ports["https"]), timeout))


def seconds_to_end(connection):
    """Until the peer has closed; and what it said before."""
    start, said = time.monotonic(), b""
    try:
        while True:
            part = connection.recv(65536)
            if not part:
                break
            said += part
    except (ConnectionResetError, ssl.SSLError):
        pass
    return time.monotonic() - start, said


def is_served(make=plain):
    with make() as connection:
        connection.sendall(request())
        return connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_deadlines():
    site()
    raw = socket.create_connection(("127.0.0.1", site().node.ports["https"]), 15)
    raw.sendall(b"\x16\x03\x01")
    cases = [("a handshake that stops", raw, 1, b"")]
    for what, sent, seconds, said in [("nothing", b"", 1, b""), ("a header that stops", b"POST / HT", 2, b"408"),
                                      ("a body that stops", request(length=5000), 2, b"408")]:
        for make in (plain, sealed):
            connection = make()
            connection.sendall(sent)
            cases.append((what, connection, seconds, said))
    started = time.monotonic()
    for what, connection, seconds, said in cases:
        _, heard = seconds_to_end(connection)
        took = time.monotonic() - started
        base.check(seconds - 0.5 < took < 3.5, what, "took", took)
        base.check(said in heard, what, "was told", heard[:80])


def test_a_known_sender_may_be_idle_a_stranger_may_not():
    known, stranger = plain(), plain()
    known.sendall(request())
    stranger.sendall(request(token="wrong"))
    base.check(b" 200 " in known.recv(65536) and b" 401 " in stranger.recv(65536), "answers")
    took, _ = seconds_to_end(stranger)
    base.check(0.5 < took < 2.5, "the stranger's connection stayed for", took)
    known.sendall(request())
    base.check(b" 200 " in known.recv(65536), "the known one is still there")
    took, _ = seconds_to_end(known)
    base.check(3.5 < took < 6, "an idle connection stayed for", took)


def test_a_peer_that_does_not_read_is_closed():
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", site().node.ports["http"]))
    connection.settimeout(0.2)
    started, ask = time.monotonic(), b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\n\r\n" * 16
    while time.monotonic() - started < 12:
        try:
            connection.sendall(ask)
        except socket.timeout:
            continue
        except OSError:
            break
    took = time.monotonic() - started
    base.check(1.5 < took < 10, "a peer that reads nothing was kept for", took)
    base.check(is_served(), "others are served")


def resident(node):
    with open("/proc/%d/statm" % node.child.pid) as file:
        return int(file.read().split()[1]) * 4096


def test_claimed_lengths_cost_nothing():
    node = site().node
    before, many = resident(node), []
    for i in range(1500):
        connection = plain()
        connection.sendall(request(data=b"x", length=4 << 30) if i % 2 else request(data=b"{", length=1 << 20))
        many.append(connection)
        if i % 4 == 0:
            hello = socket.create_connection(("127.0.0.1", node.ports["https"]), 15)
            hello.sendall(b"\x16\x03\x01\x00\x08\x01\x02\x00\x00\x03\x03\x00\x00")
            many.append(hello)
    grown = resident(node) - before
    base.check(grown < len(many) * 20480, "bytes a connection that claims:", grown / len(many))
    for connection in many:
        connection.close()
    base.check(is_served() and is_served(sealed), "others are served")


def test_floods_of_records_are_cut():
    node = site().node
    keys = "k\n" * 200  # s_client sends a key update for each
    done = subprocess.run("(for i in $(seq 200); do echo k; done; sleep 1) | timeout 10 openssl s_client -connect "
                          "127.0.0.1:%d -tls1_3" % node.ports["https"], shell=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=30)
    base.check(len(keys) and done.stdout.count(b"KEYUPDATE") > 0, "key updates were sent", done.stdout[-300:])
    renegotiate = subprocess.run("(echo R; sleep 1) | timeout 10 openssl s_client -connect 127.0.0.1:%d -tls1_2"
                                 % node.ports["https"], shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 timeout=30)
    base.check(b"no renegotiation" in renegotiate.stdout, "renegotiation is off", renegotiate.stdout[-300:])
    base.check(is_served(sealed), "others are served")


def test_connections_max_is_of_the_listener_and_strangers_make_room():
    reload(connections_max=8, first_byte_timeout="20s")
    known = []
    for _ in range(4):
        connection = plain()
        connection.sendall(request())
        base.check(b" 200 " in connection.recv(65536), "known")
        known.append(connection)
    strangers = [plain() for _ in range(20)]
    time.sleep(0.3)

    node = site().node
    base.check(node.metrics()['vigie_connections{protocol="http"}'] <= 8, "over both loops", node.metrics())
    def is_let_in():
        try:
            return is_served()
        except OSError:
            return False  # the loop that it came to has no stranger; the other one has them

    served = sum(is_let_in() for _ in range(24))
    base.check(served >= 3, "newcomers find room among strangers:", served)
    for connection in known:
        connection.sendall(request())
        base.check(b" 200 " in connection.recv(65536), "sessions lose nothing")
    full = known + []
    while len(full) < 12:
        connection = plain()
        try:
            connection.sendall(request())
            if b" 200 " not in connection.recv(65536):
                break
        except OSError:
            break
        full.append(connection)
    base.check(len(full) <= 8, "full of known ones: a newcomer is closed", len(full))
    for connection in strangers + full:
        connection.close()
    reload()


class Thread:
    """Stops one thread of the daemon, as a stall of its disk would."""

    def __init__(self, name):
        tasks = "/proc/%d/task" % site().node.child.pid
        self.number = 0
        for task in os.listdir(tasks):
            with open("%s/%s/comm" % (tasks, task)) as file:
                if file.read().strip() == name:
                    self.number = int(task)
        base.check(self.number, "a thread", name)
        self.trace = ctypes.CDLL(None, use_errno=True).ptrace
        self.trace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def __enter__(self):
        base.equal(self.trace(0x4206, self.number, None, None), 0, "PTRACE_SEIZE", ctypes.get_errno())
        base.equal(self.trace(0x4207, self.number, None, None), 0, "PTRACE_INTERRUPT", ctypes.get_errno())
        os.waitpid(self.number, 0x40000000)  # __WALL

    def __exit__(self, kind, error, trace):
        self.trace(17, self.number, None, None)  # PTRACE_DETACH


def test_a_paused_connection_is_answered_within_pause_max():
    reload(first_byte_timeout="20s", message_timeout="20s")
    loops = 2
    many = [plain() for _ in range(loops * 80)]
    with Thread("shard-0"):
        for connection in many:  # sixteen at once each: the tickets of both loops are gone
            connection.sendall(request() * 16)
        time.sleep(0.5)
        started, refused = time.monotonic(), 0
        for _ in range(6):
            with plain() as connection:
                connection.sendall(request())
                answer = connection.recv(65536)
                refused += b" 503 " in answer and b"Retry-After: " in answer
        took = time.monotonic() - started
        base.equal(refused, 6, "answered while the shard stands still")
        base.check(took < 6 * 2, "each within pause_max and a second:", took)
    for connection in many:
        answers = b""
        while answers.count(b"HTTP/1.1 ") < 16:
            part = connection.recv(65536)
            base.check(part, "every message has its answer", answers[-200:])
            answers += part
        base.equal(answers.count(b" 200 OK") + answers.count(b" 503 "), 16, "answered")
        connection.close()
    base.check(is_served(), "and then it runs again")
    reload()


def test_at_the_descriptor_limit_newcomers_wait_and_a_reload_is_whole():
    node = site().node
    node.stop()
    number = 200
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard[0], hard[1]))
    prepared = node.settings["listen"]
    node.settings["listen"] = dict(prepared, first_byte_timeout="60s")
    node.write_config()
    node.start()
    libc_limit = resource.prlimit(node.child.pid, resource.RLIMIT_NOFILE)
    base.check(libc_limit[0] == libc_limit[1], "the soft limit is the hard one", libc_limit)
    node.stop()
    soft, top = resource.getrlimit(resource.RLIMIT_NOFILE)
    spawn = base.spawn

    def limited(command, log, **options):
        return spawn(["prlimit", "--nofile=%d" % number] + command, log, **options)

    base.spawn = limited
    try:
        node.start()
    finally:
        base.spawn = spawn
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, top))
    known = sealed()
    known.sendall(request())
    base.check(b" 200 " in known.recv(65536), "known")
    many = [plain() for _ in range(number + 50)]
    time.sleep(0.5)
    used = len(os.listdir("/proc/%d/fd" % node.child.pid))
    base.check(number * 0.85 <= used <= number * 0.92, "descriptors in use", used, "of", number)
    known.sendall(request())
    base.check(b" 200 " in known.recv(65536), "a session goes on")
    reload(first_byte_timeout="60s", quota_messages=1000)
    os.rename(node.certificate, node.certificate + ".away")
    before = base.tail(node.log, 400).count("reload refused")
    node.child.send_signal(signal.SIGHUP)
    base.wait_for("refused", lambda: base.tail(node.log, 400).count("reload refused") > before, 10)
    os.rename(node.certificate + ".away", node.certificate)
    known.sendall(request())
    base.check(b" 200 " in known.recv(65536), "a session survives both")
    waiting = many[-1]
    for connection in many[:-1]:
        connection.close()
    waiting.sendall(request())
    base.check(waiting.recv(65536).startswith(b"HTTP/1.1 200"), "who waited is served when there is room")
    base.check(is_served(sealed), "and newcomers")
