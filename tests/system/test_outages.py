"""PostgreSQL stopped under load, then Kafka, then a restart with both away: acknowledgements go on, both catch up."""
import os
import time

from tests.harness import base, load as loads, site as sites

OUTAGE = float(os.environ.get("OUTAGE", "30"))


def fixed_ports():
    return {"listen": {"https": "127.0.0.1:%d" % base.free_port(), "http": "off",
                       "admin": "127.0.0.1:%d" % base.free_port()}}


def goes_on(load, seconds, what):
    """Acknowledgements keep coming all the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = len(load.acknowledged())
        time.sleep(min(3, seconds))
        base.check(len(load.acknowledged()) > before, "acknowledgements go on:", what)


def test_sinks_away_one_after_the_other_and_both_at_a_restart():
    with sites.Site("outages", broker=True, settings=fixed_ports()) as site:
        site.node.import_rows(loads.cohort(4, 5))
        with loads.Load(site.node, "outages", pause=0.01) as load:
            goes_on(load, 2, "at first")
            site.cluster.stop("immediate")
            goes_on(load, OUTAGE, "without PostgreSQL")
            base.check(site.node.lag("postgres") > 0, "the lag of PostgreSQL is told")
            base.wait_for("Kafka, which does not wait for PostgreSQL", lambda: site.node.lag("kafka") < 100, 10)
            site.cluster.start()
            base.wait_for("the loader connects again", lambda: site.node.lag("postgres") < 2000, 60, 0.2)
            goes_on(load, 2, "PostgreSQL is back")
            site.broker.kill()
            goes_on(load, OUTAGE, "without Kafka")
            base.check(site.node.lag("kafka") > 0, "the lag of Kafka is told")
            site.broker.start()
            goes_on(load, 2, "Kafka is back")
            site.broker.stop()
            site.cluster.stop()
            site.node.restart()
            goes_on(load, OUTAGE / 3, "restarted with both away")
            site.node.kill()
            site.node.start()
            goes_on(load, 3, "killed with both away")
            site.cluster.start()
            site.broker.start()
            goes_on(load, 2, "both are back")
            slowest = max(sender.latency_max for sender in load.senders)
        figures = loads.verify(site, load)
        print("        slowest acknowledgement %.2f s; %s" % (slowest, figures))
