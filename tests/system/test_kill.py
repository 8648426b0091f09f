"""kill -9 under load at random moments, recovery included.

Every reading whose 2xx the client read is in PostgreSQL exactly once, and the episodes on the topic are exactly those
that RULES.md implies for the stored readings. `tests/system/test_kill.py KILLS [SEED]` is the campaign.
"""
import os
import random
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
from tests.harness import base, campaign, load as loads, site as sites  # noqa: E402

KILLS = int(os.environ.get("KILLS", "60"))
SEED = os.environ.get("SEED", "1")
KILLS_A_NODE = 60
COLUMNS = ("sent", "acknowledged", "stored", "episodes", "events", "records")


def settings():
    """Fixed ports; and every start goes through a snapshot of a journal that has been trimmed behind it."""
    return {"journal": {"segment_size": "1M", "snapshot_bytes": "64k", "retain": "1s"},
            "listen": {"https": "127.0.0.1:%d" % base.free_port(), "http": "off",
                       "admin": "127.0.0.1:%d" % base.free_port()}}


def one_node(kills, seed):
    """Kills one node again and again; returns the figures of loads.verify()."""
    dice = random.Random(seed)
    with sites.Site("kill", broker=True, settings=settings()) as site:
        site.node.import_rows(loads.cohort(4, 20))
        with loads.Load(site.node, seed, patients=20, pause=0.002) as load:
            for number in range(kills):
                time.sleep(dice.choice((0.02, 0.2, 0.5, 0.5, 2.5)) * dice.random() + 0.005)
                site.node.kill()
                site.node.spawn()
                if dice.random() < 0.2:
                    time.sleep(dice.random() * 0.3)  # the next kill hits the recovery
                else:
                    site.node.wait_ready()
                if number % 10 == 9:
                    print("        %d of %d kills, %d readings acknowledged" % (
                        number + 1, kills, len(load.acknowledged())), flush=True)
            site.node.wait_ready()
            time.sleep(0.5)
        with open(site.node.log, errors="replace") as file:
            said = file.read()
        base.check("replayed decisions differ" not in said, "every start decided as the journal has it")
        base.check("snapshot loaded" in said and "trimmed" in said, "starts went through snapshots and a trimmed journal")
        figures = loads.verify(site, load)
        site.node.ctl("journal", "verify")
        site.node.restart()
        loads.verify(site, load)  # and an orderly restart changes nothing
    return figures


def test_kill_under_load():
    figures = one_node(KILLS, SEED)
    print("        seed %s, %d kills: %s" % (SEED, KILLS, figures))


if __name__ == "__main__":
    campaign.kills(COLUMNS, int(sys.argv[1]), KILLS_A_NODE, sys.argv[2] if len(sys.argv) > 2 else SEED, one_node)
