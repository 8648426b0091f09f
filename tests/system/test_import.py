"""vigiectl import: one transaction, refusals with line number, the same line again changes nothing, in force at return."""
import functools
import json
import os
import time

from tests.harness import base, check, site as sites
from tests.harness.site import message

TOKEN = "token-of-sys-a"
NOW = int(time.time() * 1000)


@functools.lru_cache(None)
def site():
    place = sites.Site("import")
    place.node.import_rows(sites.organization_rows() + [sites.rule_row(sites.SILENCE), sites.rule_row(sites.GLUCOSE)]
                           + sites.patient_rows("P-1") + [sites.system_row("sys-a", TOKEN)])
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def refused(rows, *words, node=None):
    """The whole file is refused with 65 and one line that has the words."""
    node = node or site().node
    path = os.path.join(node.directory, "refused.ndjson")
    with open(path, "w") as file:
        file.write("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    status, _, errors = node.ctl("import", path, expect=None)
    base.equal(status, 65, "refused:", rows[-1], errors)
    for word in words:
        base.check(word in errors, repr(word), "in", errors)


def count(table):
    return site().cluster.query("SELECT count(*) FROM vigie." + table, database="vigie")[0][0]


def test_refusals_name_the_line():
    before = count("patient")
    good = sites.patient_rows("P-9")
    patient = good[0]
    refused(good + ["{not json"], str(len(good) + 1))
    refused(good + [{"type": "patient", "ref": "P-8"}], str(len(good) + 1))
    refused([dict(patient, nickname="x")], "nickname", "1")
    refused([{"type": "person", "ref": "x"}], "person")
    refused([dict(patient, organization="NOWHERE")], "NOWHERE")
    refused([dict(patient, line="line-without-silence")], "line-without-silence")
    refused([dict(patient, time_zone="Europe/Nowhere")], "Europe/Nowhere")
    refused([dict(patient, ref="185057800608491")], "ref")
    base.equal(count("patient"), before, "nothing of a refused file is kept")


def test_rules_are_refused_with_key_found_expected():
    for change, word in [({"unit": "mm[Hg]"}, "unit"), ({"parameter": "glucosis"}, "glucosis"),
                         ({"hysteresis": 0.0000001}, "hysteresis"), ({"colour": "red"}, "colour"),
                         ({"levels": [{"priority": "high", "below": 90}, {"priority": "low", "below": 60}]}, "levels"),
                         ({"levels": [{"priority": "high", "below": 9000}]}, "9000"),
                         ({"for": "10m"}, "max_gap"), ({"kind": "any"}, "kind")]:
        refused([sites.rule_row(dict(sites.GLUCOSE, id="test.other", **change), patient="P-1")], word)
    refused([sites.rule_row(dict(sites.WEIGHT, within="40d"), patient="P-1")], "within")
    refused([sites.rule_row(dict(sites.SILENCE, max_gap="32d"))], "max_gap")
    refused([sites.rule_row(dict(sites.SILENCE, enabled=False))], "enabled")
    refused([sites.rule_row(dict(sites.GLUCOSE, parameter="heart-rate", unit="/min"), patient="P-1")], "parameter")


def test_the_same_file_again_changes_nothing():
    rows = sites.patient_rows("P-2", rules=[sites.WEIGHT])
    site().node.import_rows(rows)
    tables = ("organization", "patient", "device", "device_assignment", "rule_version")
    before = [count(table) for table in tables]
    version = site().cluster.query("SELECT version FROM vigie.registry_state", database="vigie")
    site().node.import_rows(rows)
    base.equal([count(table) for table in tables], before, "rows")
    base.equal(site().cluster.query("SELECT version FROM vigie.registry_state", database="vigie"), version, "version")
    site().node.import_rows([sites.rule_row(dict(sites.WEIGHT, rise=3.0), patient="P-2")])
    base.equal(count("rule_version"), before[-1] + 1, "a changed rule is a new version")


def test_what_was_imported_is_in_force_when_the_command_returns():
    client = site().node.https(TOKEN)
    for number in range(5):
        ref = "Q-%d" % number
        answer = client.readings(message(ref, check.to_text(NOW - 1000), ("29463-7", 70, "kg")))
        base.equal(answer.status, 422, answer)
        site().node.import_rows(sites.patient_rows(ref))
        answer = client.readings(message(ref, check.to_text(NOW - 1000), ("29463-7", 70, "kg")))
        base.equal(answer.status, 200, "at once", answer)


def test_a_token_replaced_is_gone_at_once():
    client = site().node.https("second")
    base.equal(client.readings(message("P-1", check.to_text(NOW), ("8867-4", 70, "/min"))).status, 401)
    site().node.import_rows([sites.system_row("sys-x", "first")])
    base.equal(site().node.https("first").readings(
        message("P-1", check.to_text(NOW), ("8867-4", 70, "/min"))).status, 200)
    site().node.import_rows([sites.system_row("sys-x", "second")])
    base.equal(site().node.https("first").readings(
        message("P-1", check.to_text(NOW), ("8867-4", 70, "/min"))).status, 401)
    base.equal(client.readings(message("P-1", check.to_text(NOW), ("8867-4", 71, "/min"))).status, 200)
    token = site().node.ctl("token", "issue", "sys-x").strip().split()[-1]
    base.equal(site().node.https(token).readings(
        message("P-1", check.to_text(NOW), ("8867-4", 72, "/min"))).status, 200, "token issue")
    base.equal(client.readings(message("P-1", check.to_text(NOW), ("8867-4", 73, "/min"))).status, 401)


def test_rows_of_another_program_are_taken_over_within_a_second():
    site().cluster.query("INSERT INTO vigie.patient (ref, organization_id, line, time_zone, enrolled_at) "
                         "SELECT 'Z-1', organization_id, line, time_zone, now() FROM vigie.patient WHERE ref = 'P-1'",
                         database="vigie")
    client = site().node.https(TOKEN)
    base.wait_for("the row is in force", lambda: client.readings(
        message("Z-1", check.to_text(NOW), ("8867-4", 70, "/min"))).status == 200, 2, 0.1)


def test_rules_show_names_the_layer():
    shown = json.loads(site().node.ctl("rules", "show", "P-2", "--json"))
    text = json.dumps(shown)
    base.check("test.weight" in text and "patient" in text and "in_force_from" in text, shown)
    base.check("test.silence" in text and "line" in text, shown)
    files = [os.path.join(base.ROOT, "config", *name) for name in (("presets",), ("examples",))]
    for path in [os.path.join(folder, name) for folder in files for name in sorted(os.listdir(folder))]:
        site().node.ctl("rules", "check", path)


def test_import_with_the_daemon_down_goes_to_postgresql():
    site().node.stop()
    site().node.import_rows(sites.patient_rows("P-3"))
    base.equal(count("patient") > 0, True)
    site().node.start()
    answer = site().node.https(TOKEN).readings(message("P-3", check.to_text(NOW), ("29463-7", 70, "kg")))
    base.equal(answer.status, 200, answer)


def test_a_restart_without_postgresql_serves():
    site().node.stop()
    site().cluster.stop()
    try:
        site().node.start()
        answer = site().node.https(TOKEN).readings(message("P-1", check.to_text(NOW + 1), ("29463-7", 70, "kg")))
        base.equal(answer.status, 200, answer)
    finally:
        site().cluster.start()
    site().node.wait_drained("postgres")
    check.stored_once(check.stored_readings(site().cluster))
