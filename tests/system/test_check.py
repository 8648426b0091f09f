"""vigied --check: everything that a start would refuse is found without a server, one line a fault, exit 1."""
import copy
import functools
import os
import subprocess

from tests.harness import base, site as sites, vigied


@functools.lru_cache(None)
def node():
    place = base.work_directory("check")
    made = vigied.Node(place, "host=/nonexistent dbname=vigie", sites.NO_BROKER)
    for name in ("journal-key", "identifier-key"):
        with open(os.open(os.path.join(place, name), os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(os.urandom(32).hex() + "\n")
    made.settings["journal"]["key"] = os.path.join(place, "journal-key")
    made.settings["auth"] = {"identifier_key": os.path.join(place, "identifier-key")}
    return made


def run_check(settings, **environment):
    path = os.path.join(node().directory, "checked.conf")
    with open(path, "w") as file:
        file.write(vigied.text_of(settings))
    done = subprocess.run([vigied.PROGRAM, "--config", path, "--check"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=20, env=dict(os.environ, **environment))
    return done.returncode, done.stderr.decode()


def in_place(name, content=None, mode=0o600):
    path = os.path.join(node().directory, name)
    if content is not None:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(content)
    return path


def openssl(*words):
    subprocess.run(["openssl"] + list(words), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def expired_certificate():
    certificate, key = in_place("old.pem"), in_place("old.key")
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=old", "-keyout",
            key, "-out", in_place("old.csr"))
    openssl("x509", "-req", "-in", in_place("old.csr"), "-signkey", key, "-days", "-1", "-out", certificate)
    return {"certificate": certificate, "key": key}


def other_key():
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", in_place("other.key"))
    return {"key": in_place("other.key")}


def faults():
    """(what the line must say, section, settings)"""
    yield "certificate", "tls", {"certificate": "/nonexistent.pem"}
    yield "certificate", "tls", {"certificate": in_place("noise.pem", b"noise")}
    yield "certificate", "tls", other_key()
    yield "expired", "tls", expired_certificate()
    yield "[journal] key", "journal", {"key": in_place("short", b"ab")}
    yield "[auth] identifier_key", "auth", {"identifier_key": in_place("long", b"x" * 70)}
    yield "state_dir", "node", {"state_dir": in_place("file", b"no directory")}
    yield "state_dir", "node", {"state_dir": "/nonexistent/deeper/state"}
    yield "state_dir", "node", {"state_dir": in_place("x" * 100)}
    yield "https", "listen", {"https": "192.0.2.1:8443"}
    yield "admin", "listen", {"admin": "192.0.2.1:9090"}
    yield "http", "listen", {"http": "0.0.0.0:8080"}
    yield "presets_dir", "alerting", {"presets_dir": "/nonexistent"}
    yield "nonsense.property", "kafka", {"rdkafka.nonsense.property": "1"}
    yield "queue.buffering.max.ms", "kafka", {"rdkafka.linger.ms": "soon"}


def test_a_good_configuration_passes_and_nothing_is_made():
    base.equal(run_check(node().settings), (0, ""))
    base.check(not os.path.exists(node().state_dir), "--check makes no state_dir")


def test_each_fault_has_its_line():
    for say, section, values in faults():
        settings = copy.deepcopy(node().settings)
        settings[section].update(values)
        status, errors = run_check(settings)
        base.equal(status, 1, section, values, errors)
        lines = [line for line in errors.split("\n") if line.startswith("vigied: ")]
        base.equal(len(lines), 1, "one line a fault", section, values, errors)
        base.check(say in lines[0], say, "in", lines[0])
        for part in ("found", "expected", "hint"):
            base.check(part in lines[0], part, "in", lines[0])


def test_all_faults_at_once():
    settings = copy.deepcopy(node().settings)
    settings["journal"]["key"] = "/nonexistent"
    settings["listen"]["https"] = "192.0.2.1:1"
    settings["alerting"]["presets_dir"] = "/nonexistent"
    settings["node"]["mode"] = "test"
    settings["tls"]["certificate"] = in_place("noise.pem", b"noise")
    settings["auth"]["identifier_key"] = in_place("short", b"ab")
    status, errors = run_check(settings)
    base.equal((status, sum(line.startswith("vigied: ") for line in errors.split("\n"))), (1, 4), errors)


def test_production_needs_its_credentials():
    """As the unit hands them over: files of $CREDENTIALS_DIRECTORY."""
    settings = copy.deepcopy(node().settings)
    settings["node"]["mode"] = "production"
    settings["journal"]["key"] = "credential:journal-key"
    settings["auth"]["identifier_key"] = "credential:identifier-key"
    settings["tls"]["key"] = "credential:tls-key"
    place = node().directory
    with open(node().settings["tls"]["key"], "rb") as file:
        in_place("tls-key", file.read())
    base.equal(run_check(settings, CREDENTIALS_DIRECTORY=place), (0, ""))
    empty = base.work_directory("check-credentials")
    for name, say in (("journal-key", "[journal] key"), ("identifier-key", "[auth] identifier_key"), ("tls-key", "[tls]")):
        for other in ("journal-key", "identifier-key", "tls-key"):
            path = os.path.join(empty, other)
            if os.path.lexists(path):
                os.remove(path)
            if other != name:
                os.symlink(os.path.join(place, other), path)
        status, errors = run_check(settings, CREDENTIALS_DIRECTORY=empty)
        base.check(status == 1 and say in errors, name, "is missing", status, errors)


def test_one_topic_for_two_organisations():
    """What the registry file of the last run says; PostgreSQL is not asked."""
    with sites.Site("check-topic", settings={"journal": node().settings["journal"], "auth": node().settings["auth"]}) as site:
        site.node.import_rows(sites.organization_rows("ORG-A"))
        site.node.stop()
        base.equal(run_check(site.node.settings)[0], 0, "one organisation")
        site.node.start()
        site.node.import_rows(sites.organization_rows("ORG-B"))
        site.node.stop()
        status, errors = run_check(site.node.settings)
        base.check(status == 1 and "{organization}" in errors, "two organisations", status, errors)
        site.node.settings["kafka"]["topic"] = "vigie.alerts.{organization}"
        base.equal(run_check(site.node.settings)[0], 0, "a template")
        settings = copy.deepcopy(site.node.settings)
        settings["node"]["shards"] = "7"
        status, errors = run_check(settings)
        base.check(status == 1 and "shards" in errors, "another number of shards", status, errors)
