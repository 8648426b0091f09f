"""Client certificates and their revocation, and reload by SIGHUP: all or nothing, with readings flowing."""
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

from tests.harness import authority, base, check, client, vigied
from tests.harness.site import SILENCE, Site, message, organization_rows, patient_rows, rule_row, system_row

STRANGER, TOKEN = "unknown.example", "tok-system"
_site, _authority, _pairs = None, None, {}


def source_row(ref, kind, **more):
    return dict({"type": "source", "ref": ref, "kind": kind, "organization": "ORG-A", "token": "tok-" + ref,
                 "certificate_cn": ref + ".example"}, **more)


def site():
    global _site, _authority
    if _site is None:
        directory = base.fresh_directory(os.path.join(base.BUILD, "test", "certificates-ca"))
        _authority = authority.Authority(directory)
        _site = Site("certificates", settings={"tls": {"client_ca": _authority.certificate, "crl": _authority.crl}})
        rows = organization_rows() + [rule_row(SILENCE)] + patient_rows("P-1") + patient_rows("P-2")
        rows += [source_row("dev", "device", devices=["D-P-1"]), source_row("gw", "gateway", devices=["D-P-1"]),
                 source_row("sys", "system"), source_row("pat", "patient", patient="P-1"),
                 source_row("san", "system"), source_row("gone", "system"), source_row("late", "system"),
                 system_row("plain", TOKEN)]
        _site.node.import_rows(rows)
        for name in ("dev.example", "gw.example", "sys.example", "pat.example", STRANGER, "gone.example"):
            _pairs[name] = _authority.issue(name)
        _pairs["san"] = _authority.issue("no source of this name", dns=["other.example", "san.example"])
        _pairs["late"] = _authority.issue("late.example", days=(-9, -2))
    return _site


def tear_down():
    if _site is not None:
        _site.close()


def connect(pair=None, token=None):
    node = site().node
    made = client.Client(node.ports["https"], token, node.certificate)
    made.connection = http.client.HTTPSConnection("127.0.0.1", node.ports["https"], timeout=15,
                                                  context=authority.context(node.certificate, pair))
    return made


def post(made, **fields):
    now = check.to_text(int(time.time() * 1000))
    body = message("P-1", now, ("29463-7", 71.4, "kg"))
    body.update(fields)
    return made.readings(body)


def is_refused(pair, token=None):
    """True when the handshake fails; with TLS 1.3 the client hears of it with its first read."""
    made = connect(pair, token)
    try:
        post(made)
        return False
    except (ssl.SSLError, OSError, http.client.HTTPException):
        return True
    finally:
        made.close()


def reload(expect=True):
    """SIGHUP; waits for the word on what became of it."""
    node = site().node
    word = "in force on every loop" if expect else "reload refused"

    def words():
        with open(node.log) as file:
            return file.read().count(word)

    time.sleep(0.11)  # a call site of the log has ten lines a second
    before = words()
    node.child.send_signal(signal.SIGHUP)
    base.wait_for("reload: %s\n%s" % (word, base.tail(node.log)), lambda: words() > before, 10, 0.01)


class Flow:
    """Readings by a session that stays open and by new ones, all of them acknowledged."""

    def __enter__(self):
        self.statuses, self.fault, self.running = [], None, True
        self.kept = connect(token=TOKEN)
        post(self.kept)
        self.socket = self.kept.connection.sock
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        return self

    def _run(self):
        try:
            while self.running:
                self.statuses.append(post(self.kept).status)
                new = connect(token=TOKEN)
                self.statuses.append(post(new).status)
                new.close()
        except Exception as error:  # pylint: disable=broad-except
            self.fault = error

    def __exit__(self, kind, error, trace):
        self.running = False
        self.thread.join()
        if kind is None:
            base.check(self.fault is None, "readings flow:", repr(self.fault))
            base.equal(set(self.statuses), {200}, "readings flow")
            base.check(self.kept.connection.sock is self.socket, "the open session was dropped")


def test_sources_of_all_four_kinds_by_certificate_and_by_token():
    site()
    for name in ("dev", "gw", "sys", "pat"):
        fields = {"device": "D-P-1"} if name == "gw" else {}
        for what, made in (("certificate", connect(_pairs[name + ".example"])), ("token", connect(token="tok-" + name))):
            answer = post(made, **fields)
            base.equal(answer.status, 200, name, what, answer)
        # each may say only what is its own
        made = connect(_pairs[name + ".example"])
        answer = post(made, patient="P-2", **fields)
        expected = {"dev": 422, "gw": 422, "sys": 200, "pat": 403}[name]
        base.equal(answer.status, expected, name, "of another patient", answer)


def test_names_and_tokens():
    site()
    base.equal(post(connect(_pairs["san"])).status, 200, "the second DNS name is the source's")
    base.equal(post(connect(_pairs[STRANGER])).status, 401, "a good certificate of nobody")
    base.equal(post(connect(_pairs[STRANGER], TOKEN)).status, 200, "with a token")
    base.equal(post(connect(_pairs["sys.example"], "wrong")).status, 401, "a wrong token beside a good certificate")
    base.equal(post(connect()).status, 401, "neither")


def test_certificates_that_do_not_hold():
    site()
    base.check(is_refused(_pairs["late"]), "a certificate out of date was served")
    foreign = authority.Authority(base.fresh_directory(os.path.join(base.BUILD, "test", "foreign-ca")))
    base.check(is_refused(foreign.issue("sys.example")), "a certificate of another authority was served")
    base.check(is_refused(foreign.issue("x.example"), TOKEN), "a bad certificate beside a good token was served")
    base.check(not is_refused(_pairs["sys.example"]), "a good one is served")


def test_nothing_older_than_tls_1_2_and_nothing_is_resumed():
    node = site().node
    old = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % node.ports["https"], "-tls1_1", "-cipher",
                          "ALL:@SECLEVEL=0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         timeout=15)
    base.check(b"Cipher is (NONE)" in old.stdout, "TLS 1.1 is refused:", old.stdout[-300:])
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        made, session = authority.context(node.certificate, _pairs["sys.example"]), None
        made.minimum_version = made.maximum_version = version
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", node.ports["https"]), 15) as plain, \
                    made.wrap_socket(plain, session=session) as sealed:
                sealed.sendall(b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\n\r\n")
                base.check(sealed.recv(4096).startswith(b"HTTP/1.1 200"), "served")
                base.check(not sealed.session_reused, "resumed", version)
                session = sealed.session if sealed.session and sealed.session.id else None


def test_revocation_reaches_an_open_session():
    site()
    gone, stays, by_token = connect(_pairs["gone.example"]), connect(_pairs["sys.example"]), connect(token="tok-gone")
    for made in (gone, stays, by_token):
        base.equal(post(made).status, 200)
    kept = [made.connection.sock for made in (stays, by_token)]
    _authority.revoke("gone.example")
    _authority.sign_list()
    base.equal(post(gone).status, 200, "until the list is taken")
    with Flow():
        started = time.monotonic()
        reload()
        gone.connection.sock.settimeout(5)
        base.equal(gone.connection.sock.recv(100), b"", "the session of a revoked certificate is closed")
        base.check(time.monotonic() - started < 2, "closed within the reload")
    base.check(is_refused(_pairs["gone.example"]), "a revoked certificate was served")
    for made in (stays, by_token):
        base.equal(post(made).status, 200, "others stay")
    base.equal([made.connection.sock for made in (stays, by_token)], kept, "on their connections")


def test_an_expired_list_refuses_certificates_and_serves_tokens():
    node = site().node
    _authority.sign_list(days=(-9, -1))
    reload(expect=False)
    base.check(not is_refused(_pairs["sys.example"]), "the list in force is better than the one offered")
    node.restart()  # a start must not depend on it: tokens are served
    base.check(is_refused(_pairs["sys.example"]), "a certificate that cannot be judged was served")
    base.equal(post(connect(token=TOKEN)).status, 200, "tokens")
    base.check("past its next update" in base.tail(node.log, 60), "the log says so", base.tail(node.log))
    _authority.sign_list()
    reload()
    base.check(not is_refused(_pairs["sys.example"]), "with a new list")


def test_old_sessions_keep_the_old_certificate_and_new_ones_get_the_new():
    node = site().node
    kept = connect(token=TOKEN)
    base.equal(post(kept).status, 200)
    served = ssl.get_server_certificate(("127.0.0.1", node.ports["https"]))
    with Flow():
        renewed = base.fresh_directory(os.path.join(base.BUILD, "test", "renewed"))
        certificate, key = vigied.make_certificate(renewed)
        with open(certificate) as new, open(node.certificate) as old:
            both = new.read() + old.read()
        shutil.copy(certificate, node.certificate + ".new")
        trust = os.path.join(renewed, "both.pem")
        with open(trust, "w") as file:
            file.write(both)
        # both files change before the daemon looks: the pair is taken together or not at all
        old_certificate, node.certificate = node.certificate, trust
        node.settings["tls"].update({"certificate": certificate, "key": key})
        node.write_config()
        time.sleep(0.1)
        reload()
    base.check(ssl.get_server_certificate(("127.0.0.1", node.ports["https"])) != served, "the new certificate is shown")
    base.equal(post(kept).status, 200, "the old session")
    base.check(os.path.exists(old_certificate), "kept for the node")


BAD = [
    ("missing certificate", "certificate", None),
    ("empty certificate", "certificate", lambda text: b""),
    ("certificate cut in its middle", "certificate", lambda text: text[:len(text) // 2]),
    ("certificate cut in its last line", "certificate", lambda text: text[:-9]),
    ("key cut", "key", lambda text: text[:len(text) // 2]),
    ("empty key", "key", lambda text: b""),
    ("another key", "key", "another"),
    ("empty client_ca", "client_ca", lambda text: b""),
    ("client_ca cut", "client_ca", lambda text: text[:len(text) // 2]),
    ("a second block of client_ca cut", "client_ca", lambda text: text + text[:200]),
    ("a second block of client_ca cut in its first line", "client_ca", lambda text: text + b"-----BEG"),
    ("empty crl", "crl", lambda text: b""),
    ("crl cut", "crl", lambda text: text[:len(text) // 2]),
    ("a certificate instead of a crl", "crl", "authority"),
    ("a list of another authority", "crl", "foreign"),
    ("missing crl", "crl", None),
]


def test_a_reload_that_fails_leaves_everything_as_it_was():
    node = site().node
    directory = base.fresh_directory(os.path.join(base.BUILD, "test", "bad-files"))
    foreign = authority.Authority(os.path.join(directory, "foreign"))
    others = {"another": foreign.path("ca.key"), "authority": _authority.certificate, "foreign": foreign.crl}
    good = dict(node.settings["tls"])
    _authority.revoke("unknown.example")
    _authority.sign_list()
    reload()
    with Flow():
        for what, key, change in BAD:
            path = os.path.join(directory, "file.pem")
            if os.path.exists(path):
                os.remove(path)
            if change is not None:
                with open(others.get(change) if isinstance(change, str) else good[key], "rb") as file:
                    text = file.read()
                with open(path, "wb") as file:
                    file.write(text if isinstance(change, str) else change(text))
            node.settings["tls"] = dict(good, **{key: path})
            node.settings["log"] = {"level": "error"}  # nothing else of the file is taken either
            node.write_config()
            reload(expect=False)
            base.check(not is_refused(_pairs["sys.example"]), what, ": certificates are judged as before")
            base.check(is_refused(_pairs[STRANGER]), what, ": a revoked certificate was served")
        with open(node.log) as file:
            notices = file.read().count("level=notice area=reload reloading")
        base.check(notices >= len(BAD), "the log level of a refused file was taken: notices", notices)
        node.settings["tls"] = good
        node.settings["log"] = {"level": "info"}
        node.settings["listen"]["first_byte_timeout"] = "soon"
        node.write_config()
        reload(expect=False)
        del node.settings["listen"]["first_byte_timeout"]
        with open(node.config, "wb"):
            pass  # an empty file is one of defaults, and its state_dir is another
        reload(expect=False)
        base.check("[node] state_dir" in base.tail(node.log), "the option is named", base.tail(node.log))
        node.write_config()
    reload()


def test_an_option_that_needs_a_restart_refuses_the_whole_reload():
    node = site().node
    node.settings["listen"]["connections_max"] = "1"
    node.settings["node"]["name"] = "another"
    node.write_config()
    reload(expect=False)
    base.check("[node] name" in base.tail(node.log), "the option is named", base.tail(node.log))
    first, second = connect(token=TOKEN), connect(token=TOKEN)
    base.equal([post(first).status, post(second).status], [200, 200], "connections_max was not taken")
    node.settings["node"]["name"] = "test"
    node.settings["listen"]["connections_max"] = "10000"
    node.write_config()
    reload()


def test_limits_and_log_level_are_taken():
    node = site().node
    node.settings["listen"]["quota_messages"] = "2"
    node.settings["log"] = {"level": "debug"}
    node.write_config()
    reload()
    made = connect(token=TOKEN)
    answers = [post(made) for _ in range(6)]
    base.equal(answers[0].status, 200)
    refused = [answer for answer in answers if answer.status == 429]
    base.check(refused, "the quota is in force", answers)
    base.equal(refused[0].json()["code"], "too-many-requests")
    base.check(int(refused[0].headers["Retry-After"]) >= 1, "Retry-After", refused[0].headers)
    base.equal(post(connect(token="tok-sys")).status, 200, "another source has its own")
    del node.settings["listen"]["quota_messages"]
    node.write_config()
    reload()
    base.equal([post(made).status for _ in range(6)], [200] * 6, "unlimited again")


def test_what_a_reload_does_not_take_over_holds_nothing_up():
    """Two organisations under one topic: --check refuses that, a renewed certificate must come in all the same."""
    site().node.import_rows([{"type": "organization", "ref": ref, "name": ref} for ref in ("ORG-Y", "ORG-Z")])
    reload()
