"""vigiectl beside a running node and a real broker: alerts listed and followed, kafka check and create, help, usage errors."""
import functools
import json
import os
import re
import signal
import subprocess
import time

from tests.harness import base, check, site as sites, tree, vigied
from tests.harness.site import message

TOKEN = "token-of-sys-a"


@functools.lru_cache(None)
def site():
    place = sites.Site("vigiectl", broker=True)
    place.node.import_rows(sites.organization_rows() + [sites.rule_row(sites.SILENCE), sites.rule_row(sites.GLUCOSE)]
                           + sites.patient_rows("P-1") + sites.patient_rows("P-2")
                           + [sites.system_row("sys-a", TOKEN)])
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def breach(patient, value=40):
    client = site().node.https(TOKEN)
    at = check.to_text(int(time.time() * 1000) - 1000)
    base.equal(client.readings(message(patient, at, ("2339-0", value, "mg/dL"))).status, 200)
    client.close()


def follow(*options):
    return subprocess.Popen([vigied.CTL, "--config", site().node.config, "alerts", "--follow", *options],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_alerts_are_listed_and_followed():
    site()
    listener = follow("--json", "--patient", "P-1")
    try:
        time.sleep(3)  # until it stands at the end of the topic
        breach("P-2")
        breach("P-1")
        event = json.loads(listener.stdout.readline())
    finally:
        listener.send_signal(signal.SIGINT)
        listener.communicate(timeout=20)
    base.equal(listener.returncode, 0, "interrupted")
    base.equal((event["patient"], event["event"], event["side"]), ("P-1", "raised", "low"))
    site().node.wait_drained("postgres")
    listed = json.loads(site().node.ctl("alerts", "--open", "--patient", "P-1", "--json"))
    base.equal([(row["episode_id"], row["state"], row["priority"]) for row in listed],
               [(event["episode_id"], "open", "high")])
    base.equal(listed[0]["raised_at"], event["raised_at"])
    base.check(event["episode_id"] in site().node.ctl("alerts"), "the table for people")
    base.equal(json.loads(site().node.ctl("alerts", "--patient", "nobody", "--json")), [])


def test_acknowledging_says_what_is_wrong():
    status, _, errors = site().node.ctl("alert", "ack", "00000000-0000-8000-8000-000000000000", expect=None)
    base.equal(status, 66, errors)
    status, _, errors = site().node.ctl("alert", "ack", "no-uuid", expect=None)
    base.equal((status, errors.count("\n")), (66, 1), errors)


def test_kafka_is_checked_and_made():
    base.equal(json.loads(site().node.ctl("kafka", "check", "--json"))[0]["partitions"], 3)
    base.check("exists already" in site().node.ctl("kafka", "create"), "one that exists stays")
    other = os.path.join(site().node.directory, "other.conf")
    with open(site().node.config) as file:
        text = file.read()
    with open(other, "w") as file:
        file.write(text.replace("[kafka]\n", "[kafka]\ntopic = of.{organization}.alerts\n"))

    def ctl(*arguments):
        return subprocess.run([vigied.CTL, "--config", other, *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60)
    missing = ctl("kafka", "check")
    base.equal(missing.returncode, 78, missing.stderr)
    base.check(b"of.ORG-A.alerts" in missing.stderr, missing.stderr)
    base.equal(ctl("kafka", "create", "--partitions", "2").returncode, 0)
    base.check(b"of.ORG-A.alerts: 2 partitions" in ctl("kafka", "check").stdout)


def test_help_teaches_and_usage_is_refused():
    listing = subprocess.run([vigied.CTL, "--help"], stdout=subprocess.PIPE, timeout=20).stdout.decode()
    for command in ("db migrate", "import", "token issue", "rules check", "rules show", "rules unconfirmed", "alerts", "alert ack",
                    "alert handle", "alert shelve", "alert unshelve",
                    "journal status", "journal verify", "kafka check", "kafka create"):
        base.check(command in listing, command, listing)
        shown = subprocess.run([vigied.CTL, *command.split(), "--help"], stdout=subprocess.PIPE, timeout=20)
        base.equal(shown.returncode, 0, command)
        base.check(shown.stdout.decode().startswith("usage: vigiectl") and len(shown.stdout) > 150, command, shown)
    for arguments in (["import"], ["import", "a", "b"], ["alerts", "--colour"], ["token", "issue"], ["rules"],
                      ["kafka", "create", "--partitions", "many"], ["alert", "ack", "x", "--note"]):
        status, _, errors = site().node.ctl(*arguments, expect=None)
        base.equal((status, errors.count("\n")), (64, 1), arguments, errors)
        base.check(", found " in errors and ", expected " in errors, errors)


def test_rules_of_the_document_load():
    """Every example of config/RULES.md is a rule that loads, and each kind has one."""
    examples = re.findall(r"^```json\n(.*?)^```", tree.read("config/RULES.md"), re.M | re.S)
    path = os.path.join(site().node.directory, "document.json")
    with open(path, "w") as file:
        file.write("[" + ",".join(examples) + "]")
    site().node.ctl("rules", "check", path)
    base.equal(sorted({json.loads(example)["kind"] for example in examples}),
               "baseline change daily event limit occurrences rate reference silence variation".split())


def test_rules_check_names_file_row_key():
    path = os.path.join(site().node.directory, "rules.json")

    def checked(content):
        with open(path, "w") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return site().node.ctl("rules", "check", path, expect=None)
    base.equal(checked(sites.GLUCOSE)[0], 0)
    base.equal(checked([sites.GLUCOSE, sites.WEIGHT])[0], 0)
    base.equal(checked("".join(json.dumps(row) + "\n" for row in sites.patient_rows("P-9", rules=[sites.WEIGHT])))[0], 0)
    for content, row in ((dict(sites.GLUCOSE, unit="kg"), ":1: unit"),
                         ([sites.GLUCOSE, dict(sites.WEIGHT, within="99d")], ":rule 2 test.weight: within"),
                         (json.dumps(sites.rule_row(sites.GLUCOSE)) + "\n"
                          + json.dumps(sites.rule_row(dict(sites.SILENCE, enabled=False))), ":2: enabled"),
                         ("{\"id\": 1,}", ":1: line")):
        status, _, errors = checked(content)
        base.equal(status, 65, content, errors)
        base.check(path + row in errors and ", found " in errors and ", expected " in errors, row, errors)
    base.equal(site().node.ctl("rules", "check", "/nonexistent", expect=None)[0], 66)
