"""vigiectl doctor: a healthy site is ok in every line; each fault injected gives its own line."""
import copy
import functools
import json
import os
import subprocess

from tests.harness import base, site as sites, vigied

PLAIN_ONLY = "its threads are those of libraries"

# What a machine of tests cannot have: a disciplined clock, an installed unit, a login of its own, perhaps a quiet disk.
OF_THE_MACHINE = {"clock.synchronised", "clock.error", "disk.sync", "disk.filesystem", "disk.free", "unit.installed",
                  "postgres.superuser"}
CHECKS = {"clock.synchronised", "disk.free", "disk.filesystem", "disk.sync", "keys.journal", "keys.identifier",
          "certificate.server", "unit.installed", "postgres.reachable", "postgres.clock", "postgres.schema",
          "postgres.roles", "postgres.login", "postgres.superuser", "postgres.grants", "postgres.lease",
          "kafka.reachable", "kafka.topic", "kafka.replication", "daemon.running", "descriptors.limit", "daemon.ready",
          "daemon.degraded"}


@functools.lru_cache(None)
def site():
    place = sites.Site("doctor", broker=True, settings={"listen": {"connections_max": "1000"}})
    base.wait_for("both sinks take records",
                  lambda: min(place.node.metrics()['vigie_sink_connected{sink="%s"}' % sink]
                              for sink in ("postgres", "kafka")) == 1, 30)
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def run_doctor(settings=None, expect=None):
    """{check: line}; `settings` over those of the node, in a file of their own."""
    path = site().node.config
    if settings is not None:
        path = os.path.join(site().node.directory, "doctor.conf")
        merged = copy.deepcopy(site().node.settings)
        for section, keys in settings.items():
            merged.setdefault(section, {}).update(keys)
        with open(path, "w") as file:
            file.write(vigied.text_of(merged))
    done = subprocess.run([vigied.CTL, "--config", path, "doctor", "--json"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=90)
    report = json.loads(done.stdout)
    states = [line["state"] for line in report["checks"]]
    base.equal([report[state] for state in ("ok", "warn", "fail")], [states.count(state) for state in ("ok", "warn", "fail")])
    base.equal(done.returncode, 1 if "fail" in states else 0, "exit status", report)
    return {line["check"]: line for line in report["checks"]}


def at_fault(lines):
    return {name: line["state"] for name, line in lines.items() if line["state"] != "ok" and name not in OF_THE_MACHINE}


def test_a_healthy_site_is_ok():
    lines = run_doctor()
    base.equal(at_fault(lines), {}, lines)
    base.equal(CHECKS - set(lines), set(), "checks that were not made")
    base.check(all(line["found"] and line["expected"] for line in lines.values()), lines)
    text = site().node.ctl("doctor", expect=None)[1].strip().split("\n")
    base.equal(len(text), len(lines) + 1, "one line a check and the sum", text)
    base.check(not os.path.exists(os.path.join(site().node.state_dir, "doctor.probe")), "no probe is left")


def write(name, content, mode=0o600):
    path = os.path.join(site().node.directory, name)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)
    return path


def certificate(name, days):
    key, request, made = (os.path.join(site().node.directory, name + end) for end in (".key", ".csr", ".pem"))
    for words in (["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-keyout",
                   key, "-out", request], ["x509", "-req", "-in", request, "-signkey", key, "-days", str(days), "-out", made]):
        subprocess.run(["openssl"] + words, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return made


def test_faults_of_the_host():
    small = base.work_directory("doctor-none")
    cases = [
        ("keys.journal", "fail", {"journal": {"key": write("open", b"k" * 32, 0o644)}}),
        ("keys.identifier", "fail", {"auth": {"identifier_key": write("short", b"k" * 31)}}),
        ("keys.identifier", "ok", {"auth": {"identifier_key": write("hex", b"ab" * 32 + b"\n")}}),
        ("certificate.server", "fail", {"tls": {"certificate": certificate("old", -1)}}),
        ("certificate.server", "warn", {"tls": {"certificate": certificate("ending", 10)}}),
        ("certificate.server", "ok", {"tls": {"certificate": certificate("fresh", 30)}}),
        ("certificate.client_ca", "fail", {"tls": {"client_ca": certificate("ca", -1)}}),
        ("descriptors.limit", "warn", {"listen": {"connections_max": "60000"}}),
        ("kafka.topic", "fail", {"kafka": {"topic": "nowhere"}}),
        ("kafka.reachable", "fail", {"kafka": {"bootstrap": "127.0.0.1:1"}}),
        ("daemon.running", "fail", {"node": {"state_dir": small}}),
        ("postgres.lease", "fail", {"node": {"state_dir": small}}),
    ]
    for check, state, settings in cases:
        lines = run_doctor(settings)
        base.equal(lines[check]["state"], state, check, settings, lines[check])
        if state != "ok":
            base.check(lines[check]["hint"], "a hint", lines[check])
        others = {name for name in at_fault(lines) if name.split(".")[0] != check.split(".")[0]}
        base.check(others <= {"daemon.running", "keys.journal", "keys.identifier", "postgres.lease"}, check, "alone", others)
    lines = run_doctor({"journal": {"low_water": "1000T"}})
    base.equal(lines["disk.free"]["state"], "fail", lines["disk.free"])
    lines = run_doctor({"node": {"state_dir": "/proc"}})
    base.equal((lines["disk.sync"]["state"], lines["disk.filesystem"]["state"]), ("fail", "warn"), lines["disk.sync"])


def sql(text):
    site().cluster.psql(text, "vigie")


def test_faults_of_the_database():
    for check, state, spoil, mend in (
            ("postgres.grants", "fail", "REVOKE INSERT ON vigie.reading FROM vigie_loader",
             "GRANT INSERT ON vigie.reading TO vigie_loader"),
            ("postgres.grants", "fail", "GRANT SELECT ON vigie.reading TO vigie_reader",
             "REVOKE SELECT ON vigie.reading FROM vigie_reader"),
            ("postgres.schema", "fail", "UPDATE vigie.migration SET number = 1005 WHERE number = 5",
             "UPDATE vigie.migration SET number = 5 WHERE number = 1005"),
            ("postgres.lease", "fail", "UPDATE vigie.node_lease SET node = node + 1",
             "UPDATE vigie.node_lease SET node = node - 1")):
        sql(spoil)
        try:
            lines = run_doctor()
        finally:
            sql(mend)
        base.equal(lines[check]["state"], state, check, spoil, lines[check])
        base.check(set(at_fault(lines)) <= {check, "daemon.degraded"}, check, "alone", at_fault(lines))


def test_one_topic_for_two_organisations():
    site().node.import_rows(sites.organization_rows("ORG-A") + sites.organization_rows("ORG-B"))
    base.equal(run_doctor()["kafka.template"]["state"], "fail")
    lines = run_doctor({"kafka": {"topic": "vigie.alerts.{organization}"}})
    base.equal(lines["kafka.topic"]["state"], "fail", "topics of the template are not there")


def test_servers_away_and_daemon_down():
    site().cluster.stop("immediate")
    base.wait_for("/readyz tells", lambda: b"PostgreSQL is away" in site().node.admin().get("/readyz").body, 15)
    answer = site().node.admin().get("/readyz")
    base.equal(answer.status, 200, "a sink away: readings are accepted", answer)
    lines = run_doctor()
    base.equal((lines["postgres.reachable"]["state"], lines["daemon.ready"]["state"], lines["daemon.degraded"]["state"]),
               ("fail", "ok", "warn"), lines)
    site().node.stop()
    base.equal(run_doctor()["daemon.running"]["state"], "fail")
    site().cluster.start()
