"""The registry beside a running daemon: commits written back, ownership, rights withdrawn, restarts, PostgreSQL gone back."""
import functools
import json
import os
import time

from tests.harness import base, check, site as sites, vigied
from tests.harness.site import message

TOKEN, GATEWAY, DEVICE = "token-of-sys-a", "token-of-gw", "token-of-dev"
START = "2099-12-01T00:00:00.000Z"
NOW = check.to_ms(START)


@functools.lru_cache(None)
def site():
    place = sites.Site("registry", settings={"node": {"test_clock": START}})
    place.node.import_rows(sites.organization_rows() + sites.organization_rows("ORG-B")
                           + [sites.rule_row(sites.SILENCE), sites.rule_row(sites.GLUCOSE)]
                           + sites.patient_rows("P-1") + sites.patient_rows("P-2", device=False)
                           + sites.patient_rows("B-1", organization="ORG-B")
                           + [sites.system_row("sys-a", TOKEN), sites.gateway_row("gw", GATEWAY, ["D-P-1", "D-B-1"]),
                              {"type": "source", "ref": "dev", "kind": "device", "devices": ["D-P-1"], "token": DEVICE}])
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def query(sql, *values):
    return site().cluster.query(sql, values, "vigie")


def send(token, patient=None, device=None, at=NOW - 60000, value=70):
    more = {"device": device} if device else {}
    body = message(patient, check.to_text(at), ("29463-7", value, "kg"), **more)
    if patient is None:
        del body["patient"]
    client = site().node.https(token)
    try:
        return client.readings(body)
    finally:
        client.close()


def refused(rows, *words):
    path = os.path.join(site().node.directory, "refused.ndjson")
    with open(path, "w") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
    status, _, errors = site().node.ctl("import", path, expect=None)
    base.equal(status, 65, "refused", rows, errors)
    for word in words:
        base.check(word in errors, word, "in", errors)


def assignment(device, patient, start, end):
    return {"type": "assignment", "device": device, "patient": patient, "from": start, "to": end}


def test_commits_are_written_back():
    rows = sites.patient_rows("C-1", enrolled_at=None, rules=[sites.WEIGHT])
    output = site().node.import_rows(rows)
    enrolled = query("SELECT enrolled_at = %s FROM vigie.patient WHERE ref = 'C-1'", START)
    base.equal(enrolled, [(True,)], "enrolled at the commit, which is engine time")
    base.check("in force from" in output, "the answer says that valid_from was moved", output)
    rule = query("SELECT valid_from > '2099-10-01' AND valid_from < committed_at, requested_from = '2020-01-01T00:00:00Z', "
                 "committed_at = %s FROM vigie.rule_version WHERE layer = 'patient' AND scope = 'C-1'", START)
    base.equal(rule, [(True, True, True)], "the first version of a patient reaches back by the look-back")
    line = query("SELECT valid_from = %s AND committed_at = %s FROM vigie.rule_version WHERE rule_id = 'test.glucose'",
                 START, START)
    base.equal(line, [(True,)], "a line's rule begins at its commit")
    state = query("SELECT version FROM vigie.registry_state")
    site().node.import_rows(rows)
    base.equal(query("SELECT version FROM vigie.registry_state"), state, "the same file again")


def test_presets_are_rules_of_their_lines():
    base.check(query("SELECT count(*) FROM vigie.rule_version WHERE layer = 'line' AND scope = 'heart-failure' "
                     "AND author = 'preset'")[0][0] > 0, "loaded by db migrate")
    row = dict(sites.patient_rows("H-1", device=False)[0], line="heart-failure")
    site().node.import_rows([row])
    shown = json.loads(site().node.ctl("rules", "show", "H-1", "--json"))
    base.check([rule for rule in shown["rules"] if rule["kind"] == "silence" and rule["layer"] == "line"], shown)
    base.check(shown["waiting"], "rules that wait for a physician", shown)
    site().node.import_rows([{"type": "confirmation", "patient": "H-1", "line": "heart-failure", "author": "Dr A",
                              "role": "physician", "from": START}])
    shown = json.loads(site().node.ctl("rules", "show", "H-1", "--json"))
    base.equal(shown["waiting"], [], "confirmed", shown)


def test_what_another_organisation_has_is_unknown():
    base.equal(send(GATEWAY, device="D-P-1").status, 200)
    answer = send(GATEWAY, device="D-B-1")
    base.equal((answer.status, "unknown-device" in answer.body.decode()), (422, True), answer)
    answer = send(TOKEN, "B-1")
    base.equal((answer.status, "unknown-patient" in answer.body.decode()), (422, True), answer)
    base.equal(send(DEVICE).status, 200, "a device speaks for the patient it is assigned to")


def test_owner_of_received_readings_stays():
    site().node.import_rows([{"type": "device", "ref": "O-1", "kind": "scale"},
                             assignment("O-1", "P-1", "2099-11-01T00:00:00Z", None)])
    base.equal(send(TOKEN, "P-1", "O-1", at=NOW - 3600000).status, 200)
    site().node.wait_drained("postgres")
    refused([assignment("O-1", "P-1", "2099-11-01T00:00:00Z", "2099-11-20T00:00:00Z")], "received")
    refused([assignment("O-1", "P-2", "2099-11-01T00:00:00Z", None)], "overlap")
    site().node.import_rows([assignment("O-1", "P-1", "2099-11-01T00:00:00Z", "2099-12-01T00:00:00Z"),
                             assignment("O-1", "P-2", "2099-12-01T00:00:00Z", None)])
    answer = send(TOKEN, "P-1", "O-1", at=NOW + 1000)
    base.equal((answer.status, "patient-mismatch" in answer.body.decode()), (422, True), answer)
    base.equal(send(TOKEN, "P-2", "O-1", at=NOW + 1000).status, 200)


def test_owner_of_readings_that_postgresql_lacks_stays():
    site().node.import_rows([{"type": "device", "ref": "O-2", "kind": "scale"},
                             assignment("O-2", "P-1", "2099-11-01T00:00:00Z", None)])
    with_lock = site().cluster.session("vigie")
    with_lock.cursor().execute("BEGIN; LOCK TABLE vigie.journal_cursor IN ACCESS EXCLUSIVE MODE")
    try:
        base.equal(send(TOKEN, "P-1", "O-2", at=NOW - 3600000).status, 200)
        base.equal(query("SELECT count(*) FROM vigie.reading r JOIN vigie.device d USING (device_id) WHERE d.ref = 'O-2'"),
                   [(0,)], "the loader waits")
        refused([assignment("O-2", "P-1", "2099-11-01T00:00:00Z", "2099-11-20T00:00:00Z")], "received")
        base.equal(send(TOKEN, "P-1", "O-2", at=NOW - 1800000, value=900).status, 200, "impossible: quarantined")
        site().node.import_rows([assignment("O-2", "P-1", "2099-11-01T00:00:00Z", "2099-12-01T00:00:00Z")])
    finally:
        with_lock.close()


def test_a_right_deleted_in_postgresql_is_withdrawn_within_a_second():
    site().node.import_rows([{"type": "device", "ref": "X-1", "kind": "scale"},
                             assignment("X-1", "P-1", "2099-11-01T00:00:00Z", None),
                             sites.gateway_row("gw", GATEWAY, ["X-1", "D-P-1"])])
    base.equal(send(GATEWAY, "P-1", "X-1").status, 200)
    query("DELETE FROM vigie.device_assignment WHERE device_id = (SELECT device_id FROM vigie.device WHERE ref = 'X-1')")
    base.wait_for("the assignment is gone", lambda: send(GATEWAY, "P-1", "X-1").status == 422, 2, 0.1)
    query("DELETE FROM vigie.source_device WHERE source_id = (SELECT source_id FROM vigie.source WHERE ref = 'gw')")
    base.wait_for("the gateway's list is gone", lambda: send(GATEWAY, device="D-P-1").status == 403, 2, 0.1)
    query("UPDATE vigie.source SET token_sha256 = NULL WHERE ref = 'gw'")
    base.wait_for("the token is gone", lambda: send(GATEWAY, device="D-P-1").status == 401, 2, 0.1)


def test_identifiers_in_clear_are_in_one_place():
    secret = "canary-4711"
    site().node.import_rows([{"type": "identifier", "patient": "P-1", "system": "urn:oid:1.2.3", "value": secret}])
    base.equal(query("SELECT count(*) FROM vigie_identity.patient_identifier WHERE value = %s", secret), [(1,)])
    base.equal(query("SELECT count(*) FROM vigie_identity.patient_identifier WHERE length(hash) = 32 AND value = %s",
                     secret), [(1,)])
    for name in ("registry", "registry.delta", "ports.json"):
        with open(os.path.join(site().node.state_dir, name), "rb") as file:
            content = file.read()
        for word in (secret, "P-1", "test.glucose", "sys-a"):
            base.check(word.encode() not in content, word, "in", name)
    with open(site().node.log, "rb") as file:
        base.check(secret.encode() not in file.read(), secret, "in the log")


def test_changes_found_at_a_start_have_the_time_of_their_transaction():
    site().node.stop()
    site().node.import_rows(sites.patient_rows("D-1", rules=[sites.WEIGHT]) + [sites.system_row("sys-late", "late")])
    base.equal(query("SELECT committed_at IS NULL FROM vigie.rule_version WHERE scope = 'D-1'"), [(True,)])
    site().node.start()
    written = query("SELECT committed_at < now(), committed_at > now() - interval '1 hour' "
                    "FROM vigie.rule_version WHERE scope = 'D-1'")
    base.equal(written, [(True, True)], "the transaction, while the clock of the test is ahead of it")
    base.equal(send("late", "D-1").status, 200)


def figure(name):
    return site().node.metrics()["vigie_registry_" + name]


def damage(name):
    path = os.path.join(site().node.state_dir, name)
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))


def test_without_any_registry_nobody_is_unknown():
    """A sender that hears unknown-patient may throw its reading away: 503 until PostgreSQL is back."""
    for name in ("registry", "registry.delta"):
        site().node.import_rows([dict(sites.organization_rows("ORG-F")[0], name=name)])
        site().node.stop()
        damage(name)
        site().cluster.stop()
        try:
            site().node.start()
            base.equal(send(TOKEN, "P-1").status, 503, "with a damaged", name)
            base.equal(send("no token of anybody", "P-1").status, 503, "with a damaged", name)
            base.equal(figure("unserved"), 1)
            base.check("registry file cannot be used" in base.tail(site().node.log), base.tail(site().node.log))
            shown = json.loads(site().node.ctl("rules", "show", "P-1", "--json"))
            base.check(shown["rules"], "rules of the journal stay in force", shown)
        finally:
            site().cluster.start()
        base.wait_for("served again", lambda: send(TOKEN, "P-1").status == 200, 10, 0.1)
        base.equal(figure("unserved"), 0)


def test_a_damaged_file_is_not_served():
    site().node.stop()
    path = os.path.join(site().node.state_dir, "registry")
    with open(path, "r+b") as file:
        file.seek(100)
        file.write(b"X")
    site().node.start()
    base.equal(send(TOKEN, "P-1").status, 200, "PostgreSQL has it")


def test_import_without_postgresql_is_refused_with_the_reason():
    site().cluster.stop()
    try:
        path = os.path.join(site().node.directory, "away.ndjson")
        with open(path, "w") as file:
            file.write(json.dumps(sites.organization_rows("ORG-C")[0]) + "\n")
        status, _, errors = site().node.ctl("import", path, expect=None)
        base.equal(status, 69, errors)
        base.check("PostgreSQL" in errors, errors)
        base.equal(send(TOKEN, "P-1", at=NOW - 5).status, 200, "served meanwhile")
    finally:
        site().cluster.start()
    base.wait_for("imports again", lambda: site().node.ctl("import", path, expect=None)[0] == 0, 10, 0.3)


def test_patients_and_rules_do_not_vanish_by_absence():
    query("DELETE FROM vigie.rule_version WHERE scope = 'C-1'")
    site().node.import_rows(sites.organization_rows("ORG-D"))
    shown = json.loads(site().node.ctl("rules", "show", "C-1", "--json"))
    base.check("test.weight" in json.dumps(shown), "in force though PostgreSQL lost it", shown)
    base.equal(figure("behind_rows"), 1)


def test_a_standby_that_lags_takes_no_rule_away():
    site().node.import_rows(sites.patient_rows("L-1", rules=[sites.WEIGHT]))
    site().node.stop()
    query("DELETE FROM vigie.rule_version WHERE scope = 'L-1'")
    query("UPDATE vigie.registry_state SET version = version - 5")
    os.remove(os.path.join(site().node.state_dir, "registry"))
    site().node.start()
    shown = json.loads(site().node.ctl("rules", "show", "L-1", "--json"))
    base.check("test.weight" in json.dumps(shown), "in force though neither PostgreSQL nor a file has it", shown)
    base.check(figure("behind_rows") >= 1, "and it is said")


def test_a_change_of_another_program_is_in_force_at_once():
    site().node.import_rows(sites.patient_rows("Q-1"))
    control, took, snapshots = site().node.control(), [], figure("snapshots")
    for version in range(1, 31):
        rule = dict(sites.GLUCOSE, id="quick", levels=[{"priority": "low", "above": 300 + version}])
        began = time.monotonic()
        query("INSERT INTO vigie.rule_version (layer, scope, rule_id, version, line, author, role, reason, rule) VALUES "
              "('patient', 'Q-1', 'quick', %s, %s, 'Dr T', 'physician', 'test', %s)", version, sites.LINE, json.dumps(rule))
        while not any(item["id"] == "quick" and item["version"] == version
                      for item in control.get("/v1/rules?patient=Q-1").json()["rules"]):
            time.sleep(0.001)
            base.check(time.monotonic() - began < 1, "in force within a second", version)
        took.append(time.monotonic() - began)
    base.check(sorted(took)[20] < 0.2, "most without waiting for a poll", took)
    base.equal(figure("snapshots"), snapshots, "a rule concerns the shards alone")


def test_a_change_that_a_shard_refuses_is_counted():
    refused_before = figure("refused_changes")
    query("INSERT INTO vigie.rule_version (layer, scope, rule_id, version, line, author, role, reason, rule) VALUES "
          "('patient', 'Q-1', 'bad', 1, %s, 'Dr T', 'physician', 'test', '{\"id\": \"bad\", \"kind\": \"no such\"}')", sites.LINE)
    base.wait_for("it is counted", lambda: figure("refused_changes") == refused_before + 1, 5, 0.05)
    query("INSERT INTO vigie.rule_version (layer, scope, rule_id, version, line, author, role, reason, rule) VALUES "
          "('patient', 'Q-1', 'bad', 2, %s, 'Dr T', 'physician', 'test', %s)", sites.LINE, json.dumps(dict(sites.WEIGHT, id="bad")))
    base.wait_for("a later version that is taken replaces it", lambda: figure("refused_changes") == refused_before, 5, 0.05)


def test_who_may_say_what():
    """DESIGN.md section 4.2 by kind of source: what is one's own, another's of the same organisation, another organisation's."""
    site().node.import_rows(sites.patient_rows("R-1") + sites.patient_rows("R-2")
                            + [{"type": "source", "ref": "r-dev", "kind": "device", "devices": ["D-R-1"], "token": "r-dev"},
                               sites.gateway_row("r-gw", "r-gw", ["D-R-1"]), sites.system_row("r-sys", "r-sys"),
                               {"type": "source", "ref": "r-pat", "kind": "patient", "patient": "R-1", "token": "r-pat"}])
    table = [  # token, patient, device, status, code
        ("r-dev", None, None, 200, None), ("r-dev", "R-1", None, 200, None), ("r-dev", "R-1", "D-R-1", 200, None),
        ("r-dev", "R-2", None, 422, "patient-mismatch"), ("r-dev", None, "D-R-2", 403, "forbidden"),
        ("r-dev", None, "D-B-1", 422, "unknown-device"), ("r-dev", None, "nobody's", 422, "unknown-device"),
        ("r-dev", "B-1", None, 422, "unknown-patient"),
        ("r-gw", None, "D-R-1", 200, None), ("r-gw", "R-1", "D-R-1", 200, None), ("r-gw", "R-2", "D-R-1", 422, "patient-mismatch"),
        ("r-gw", None, "D-R-2", 403, "forbidden"), ("r-gw", None, "D-B-1", 422, "unknown-device"),
        ("r-gw", "R-1", None, 422, "unknown-device"), ("r-gw", "B-1", "D-R-1", 422, "unknown-patient"),
        ("r-sys", "R-1", None, 200, None), ("r-sys", "R-2", None, 200, None), ("r-sys", "R-2", "D-R-2", 200, None),
        ("r-sys", None, "D-R-2", 200, None), ("r-sys", "R-1", "D-R-2", 422, "patient-mismatch"),
        ("r-sys", "B-1", None, 422, "unknown-patient"), ("r-sys", None, "D-B-1", 422, "unknown-patient"),
        ("r-sys", "R-1", "some text", 200, None), ("r-sys", None, None, 422, "unknown-patient"),
        ("r-pat", None, None, 200, None), ("r-pat", "R-1", "D-R-1", 200, None), ("r-pat", "R-1", "own watch", 200, None),
        ("r-pat", "R-2", None, 403, "forbidden"), ("r-pat", None, "D-R-2", 403, "forbidden"),
        ("r-pat", "B-1", None, 422, "unknown-patient"),
        ("nobody", "R-1", None, 401, "unauthenticated"),
    ]
    for number, (token, patient, device, status, code) in enumerate(table):
        answer = send(token, patient, device, at=NOW - 100000 - number)
        base.equal((answer.status, code is None or code in answer.body.decode()), (status, True), token, patient, device, answer)


def test_a_source_that_speaks_for_another_now_has_new_rights():
    client = site().node.https("r-pat")
    body = message("R-1", check.to_text(NOW - 200000), ("29463-7", 70, "kg"))
    base.equal(client.readings(body).status, 200)
    site().node.import_rows([{"type": "source", "ref": "r-pat", "kind": "patient", "patient": "R-2"}])
    base.equal(client.readings(body).status, 403, "the kept connection speaks for the other now")
    base.equal(client.readings(dict(body, patient="R-2")).status, 200)
    client.close()


def issue(*arguments):
    token = site().node.ctl("token", "issue", *arguments).strip()
    base.equal(len(token), 43, "256 bits", arguments)
    return token


def admin_status(token, method="GET", path="/v1/rules?patient=P-1", body=None):
    client = site().node.admin(token)
    try:
        return client.request(method, path, body, "application/json" if body else None).status
    finally:
        client.close()


def test_tokens_of_the_admin_port_carry_a_role():
    base.equal(admin_status(None), 401, "without a token")
    base.equal(admin_status(TOKEN), 401, "a source's token is none of the admin port")
    nurse, operator = issue("--admin", "nurse"), issue("--admin", "operator")
    base.equal(admin_status(nurse), 200, "every role may ask")
    row = json.dumps(sites.organization_rows("ORG-E")[0]).encode() + b"\n"
    base.equal(admin_status(nurse, "POST", "/v1/import", row), 403, "a nurse imports nothing")
    base.equal(admin_status(operator, "POST", "/v1/import", row), 200, "an operator does")
    base.equal(send(nurse, "P-1").status, 401, "no token of a source")
    status, _, errors = site().node.ctl("token", "issue", "--admin", "surgeon", expect=None)
    base.equal((status, "surgeon" in errors), (64, True), "an unknown role", errors)
    base.equal(query("SELECT role, issued_by FROM vigie.admin_token WHERE token_sha256 = sha256(%s)", nurse.encode()),
               [("nurse", "uid:%d" % os.getuid())], "who made it")


def test_tokens_of_the_admin_port_outlive_the_daemon_and_end_with_their_row():
    site().node.stop()
    token = issue("--admin", "auditor")
    site().node.start()
    base.equal(admin_status(token), 200, "made while the daemon was down")
    site().cluster.stop()
    try:
        site().node.restart()
        base.equal(admin_status(token), 200, "known without PostgreSQL")
    finally:
        site().cluster.start()
    query("DELETE FROM vigie.admin_token WHERE token_sha256 = sha256(%s)", token.encode())
    base.wait_for("the token ends", lambda: admin_status(token) == 401, 5, 0.2)


def test_a_second_node_finds_the_database_taken_and_exits():
    other = vigied.Node(os.path.join(site().directory, "other"), site().cluster.conninfo("vigie"), sites.NO_BROKER)
    other.spawn()
    try:
        base.equal(other.child.wait(20), 75, "exit status", base.tail(other.log))
    finally:
        other.kill()
    base.check("belongs to another node" in base.tail(other.log), base.tail(other.log))
    base.check(not os.path.exists(os.path.join(other.state_dir, "ports.json")), "it opened nothing")
