"""Ten thousand silences due at one instant, on a running clock: raised within a second of being due."""
import time

from tests.harness import base, check, site as sites

PLAIN_ONLY = "a sanitizer's time is no measure"
START = check.to_ms("2026-12-01T00:00:00Z")
PATIENTS = 10000
SILENCE = dict(sites.SILENCE, max_gap="36h")


def alerts(node):
    return sum(value for name, value in node.metrics().items() if name.startswith('vigie_alerts_total{event="raised"')
               and 'priority="low"' in name)


def test_ten_thousand_are_due_together():
    with sites.Site("silence-many", settings={"node": {"test_clock": check.to_text(START)}}) as site:
        node = site.node
        rows = sites.organization_rows() + [sites.rule_row(SILENCE)]
        enrolled = check.to_ms(node.clock()["now"])
        rows += [dict(sites.patient_rows("M-%d" % number, device=False)[0], enrolled_at=check.to_text(enrolled))
                 for number in range(PATIENTS)]
        node.import_rows(rows)
        due = enrolled + 36 * 3600000
        node.clock({"set": check.to_text(due - 1500)})
        before = alerts(node)
        began = time.monotonic()
        node.clock({"run": True})
        node_due = began + 1.5  # not before: the clock was told to run after we looked
        base.wait_for("all are raised", lambda: alerts(node) - before >= PATIENTS, 30, 0.02)
        last = time.monotonic() - node_due
        node.wait_drained("postgres")
        rows = site.cluster.query(
            "SELECT count(*), min(decided_at - (payload->>'raised_at')::timestamptz), max(decided_at - "
            "(payload->>'raised_at')::timestamptz) FROM vigie.alert_event WHERE event = 'raised' AND "
            "payload->>'class' = 'silence'", database="vigie")
        count, first_late, last_late = rows[0]
        lateness = node.metrics()
        base.equal(count, PATIENTS)
        base.check(0.001 <= first_late.total_seconds() and last_late.total_seconds() <= 1.0, "decided", rows)
        base.check(last <= 1.0, "the last was durable %.3f s after it was due" % last)
        base.equal(lateness["vigie_silence_lateness_seconds_count"] >= PATIENTS, True, "lateness is a metric")
        print("        10,000 due at once: decided after %.0f to %.0f ms, the last seen in /metrics after %.0f ms" % (
            first_late.total_seconds() * 1000, last_late.total_seconds() * 1000, last * 1000), flush=True)
