"""If-None-Exist, the gauge of quarantine, db status: each as the contract words it, from outside."""
import functools
import json
import threading

from tests.harness import base, site as sites
from tests.harness.site import message, observation, outcome_of

TOKEN = "token-of-sys-a"
START = "2099-12-01T12:00:00.000Z"
SEARCH = {"If-None-Exist": "identifier=urn:x|1"}


@functools.lru_cache(None)
def site():
    place = sites.Site("conditional", settings={"node": {"test_clock": START, "loops": "2"}})
    place.node.import_rows(sites.organization_rows() + [sites.rule_row(sites.SILENCE)] + sites.patient_rows("P-1")
                           + [sites.system_row("sys-a", TOKEN)])
    return place


def tear_down():
    if site.cache_info().currsize:
        site().close()


def create(value, minute, headers=None, **more):
    client = site().node.https(TOKEN)
    body = observation("P-1", "29463-7", value, "kg", "2099-12-01T11:%02d:00Z" % minute, **more)
    try:
        return client.post("/fhir/Observation", body, "application/fhir+json", headers)
    finally:
        client.close()


def weights():
    site().node.wait_drained("postgres")
    rows = site().cluster.query("SELECT value FROM vigie.reading ORDER BY measured_at", database="vigie")
    return [int(row[0]) // 1000000 for row in rows]


def test_if_none_exist_creates_once_whatever_comes_with_it():
    first = create(70, 0, SEARCH)
    base.equal(first.status, 201, first)
    for number, value in enumerate((70, 71, 72)):
        again = create(value, number, SEARCH)
        base.equal(again.status, 200, "known identifier", again)
        base.equal(again.headers["ETag"], first.headers["ETag"], "the version that there is")
    base.equal(create(73, 10, {"If-None-Exist": "identifier=urn:x|2"}).status, 201, "another identifier")
    base.equal(create(74, 20).status, 201, "unconditional")
    site().node.restart()
    base.equal(create(75, 30, SEARCH).status, 200, "after a restart")
    base.equal(weights(), [70, 73, 74], "stored")


def test_several_matches_are_a_precondition_that_failed():
    named = {"identifier": [{"system": "urn:x", "value": "twice"}]}
    for minute, value in ((31, 80), (32, 81)):
        base.equal(create(value, minute, **named).status, 201, "two measurements of one name")
    before = weights()
    search = "identifier=urn:x|twice"
    answer = create(82, 33, {"If-None-Exist": search})
    base.equal(answer.status, 412, answer)
    base.equal(outcome_of(answer)["code"], "multiple-matches", answer)
    base.check("Location" not in answer.headers, "no location is right", answer)
    entry = {"resource": observation("P-1", "29463-7", 83, "kg", "2099-12-01T11:34:00Z"),
             "request": {"method": "POST", "url": "Observation", "ifNoneExist": search}}
    client = site().node.https(TOKEN)
    for kind, status in (("batch", "412"), ("transaction", "200")):
        answer = client.fhir({"resourceType": "Bundle", "type": kind, "entry": [entry]})
        base.equal(answer.status, 200, answer)
        response = answer.json()["entry"][0]["response"]
        base.equal(response["status"][:3], status, kind, response)
        base.equal(response["outcome"]["issue"][0]["code"], "multiple-matches", kind, response)
    base.equal(weights(), before, "nothing of it is stored")


def test_a_batch_names_the_one_that_exists():
    known = create(70, 0, SEARCH)
    entry = {"resource": observation("P-1", "29463-7", 79, "kg", "2099-12-01T11:40:00Z"),
             "request": {"method": "POST", "url": "Observation", "ifNoneExist": "identifier=urn:x|1"}}
    answer = site().node.https(TOKEN).fhir({"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    base.equal(answer.status, 200, answer)
    response = answer.json()["entry"][0]["response"]
    base.equal(response["status"][:3], "200", response)
    base.equal(response["location"], known.headers["Location"], "where it is")
    base.check(79 not in weights(), "stored once")


def identical(number, start, statuses, more):
    """One of many who send the same: alone, in a batch, in a transaction, with and without If-None-Exist."""
    body = observation("P-1", "29463-7", 61, "kg", "2099-12-01T11:45:00Z",
                       identifier=[{"system": "urn:x", "value": "same"}])
    search = "identifier=urn:x|same"
    client = site().node.https(TOKEN)
    start.wait()
    if number % 2:
        answer = client.request("POST", "/fhir/Observation", json.dumps(body).encode(), "application/fhir+json",
                                {"If-None-Exist": search} if number % 4 == 1 else {})
        statuses.append(answer.status)
    else:
        entry = {"resource": body, "request": {"method": "POST", "url": "Observation"}}
        if number % 4 == 0:
            entry["request"]["ifNoneExist"] = search
        entries = [entry] + ([more(number)] if number % 8 == 0 else [])
        kind = "batch" if number % 3 else "transaction"
        answer = client.fhir({"resourceType": "Bundle", "type": kind, "entry": entries})
        base.equal(answer.status, 200, answer)
        statuses.append(int(answer.json()["entry"][0]["response"]["status"][:3]))
    client.close()


def test_64_who_send_the_same_make_one_row():
    start, statuses = threading.Barrier(64), []

    def more(number):
        return {"resource": observation("P-1", "29463-7", 50 + number / 100, "kg", "2099-12-01T11:46:00Z"),
                "request": {"method": "POST", "url": "Observation"}}
    before = len(weights())
    threads = [threading.Thread(target=identical, args=(number, start, statuses, more)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    base.equal(sorted(statuses), [200] * 63 + [201], "statuses")
    base.equal(len(weights()), before + 1 + 8, "rows: one, and one for each that had another entry beside")
    base.equal(weights().count(61), 1, "the row")


def test_quarantine_rows_outlive_a_restart():
    # one at the same instant that is good: another reading
    base.equal(create(74, 50).status, 201)
    answer = site().node.https(TOKEN).readings(message("P-1", "2099-12-01T11:50:00Z", ("29463-7", 900, "kg")))
    base.equal(answer.json()["quarantined"], 1, answer)
    site().node.wait_drained("postgres")
    base.equal(site().node.metrics()["vigie_quarantine_rows"], 1, "vigie_quarantine_rows")
    event = site().cluster.query("SELECT payload FROM vigie.alert_event e JOIN vigie.alert a USING (episode_id) "
                                 "WHERE a.rule_id = 'technical.quarantine' AND event = 'raised'", database="vigie")[0][0]
    base.equal([reading["value"] for reading in event["readings"]], [900], "the alert rests on the reading kept aside")
    site().node.restart()
    base.wait_for("rows of an earlier run", lambda: site().node.metrics()["vigie_quarantine_rows"] == 1, 10, 0.1)


def test_db_status_as_json_and_errors_on_stderr():
    rows = json.loads(site().node.ctl("db", "status", "--json"))
    base.check(len(rows) > 1 and all(row["applied_at"] for row in rows), rows)
    site().cluster.stop()
    try:
        status, output, errors = site().node.ctl("db", "status", expect=None)
    finally:
        site().cluster.start()
    base.equal((status, output), (69, ""), errors)
    base.check("found" in errors and "expected" in errors, errors)
