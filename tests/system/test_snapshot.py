"""A start is a snapshot and what follows it: with the journal trimmed behind it, with damaged snapshots, with none."""
import glob
import json
import os
import time

from tests.harness import base, load as loads, site as sites

SETTINGS = {"journal": {"segment_size": "1M", "snapshot_bytes": "256k", "retain": "1s"}}


def status_of(site):
    return json.loads(site.node.ctl("journal", "status", "--json"))["shards"][0]


def snapshots(site):
    return sorted(glob.glob(os.path.join(site.node.state_dir, "snapshot", "0.?")))


def damage(path):
    """One bit in the middle: what is before it has been loaded when it shows."""
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def log_of(site, since=0):
    with open(site.node.log, errors="replace") as file:
        file.seek(since)
        return file.read()


def restart(site):
    """Stops, starts; what the start said."""
    site.node.stop()
    since = os.path.getsize(site.node.log)
    site.node.start()
    return log_of(site, since)


def alerts(site):
    """Of every episode the events in order; each event stands once."""
    rows = site.cluster.query("SELECT episode_id::text, sequence, payload->>'event' FROM vigie.alert_event "
                              "ORDER BY 1, 2", database="vigie")
    base.equal(len(rows), len({row[:2] for row in rows}), "an event a row")
    found = {}
    for episode, sequence, event in rows:
        base.equal(sequence, len(found.setdefault(episode, [])) + 1, "no hole in episode", episode)
        found[episode].append(event)
    return found


def send_for(site, seconds, seed):
    with loads.Load(site.node, seed, patients=5, pause=0.002) as load:
        time.sleep(seconds)
    base.equal(load.refused(), [], "refused")


def test_snapshots_trim_and_damage():
    with sites.Site("snapshot", settings=SETTINGS) as site:
        site.node.import_rows(loads.cohort(4, 5))
        send_for(site, 6, 1)
        base.wait_for("two snapshots and a trimmed journal", lambda: (
            len(snapshots(site)) == 2 and status_of(site)["trimmed_to"] > 1), 20, 0.5)
        said = restart(site)
        base.check("snapshot loaded" in said, "the start takes the snapshot", said[-2000:])
        status = status_of(site)
        base.equal(status["replay_differences"], 0, "decided again as journaled")
        base.check(status["snapshot_position"] > 0 and status["snapshot_age_seconds"] >= 0, "told by status", status)
        send_for(site, 3, 2)  # episodes go on over the restart: the same ids, the next numbers

        # Killed while one is being written: its file is unfinished, the two whole ones are there.
        with loads.Load(site.node, 3, patients=5):
            time.sleep(1)
            site.node.kill()
            site.node.start()
        with open(snapshots(site)[0] + ".new", "wb") as file:
            file.write(b"unfinished")
        restart(site)

        # The newest is damaged: the older one and more of the journal, and the operator hears it.
        newest = max(snapshots(site), key=os.path.getmtime)
        site.node.stop()
        damage(newest)
        since = os.path.getsize(site.node.log)
        site.node.start()
        said = log_of(site, since)
        base.check("a snapshot cannot be used" in said and "snapshot loaded" in said, "falls back, loudly", said[-2000:])
        status = status_of(site)
        base.equal((status["snapshots_damaged"], status["replay_differences"]), (1, 0), "damaged, differences")
        site.node.wait_drained("postgres")
        before = alerts(site)
        base.check(len(before) > 20 and any(len(events) > 2 for events in before.values()), "there are episodes")

        # Both: the journal before them is gone, so there is no state to start from, and none is made up.
        site.node.stop()
        kept = {path: open(path, "rb").read() for path in snapshots(site)}
        for path in snapshots(site):
            damage(path)
        since = os.path.getsize(site.node.log)
        site.node.spawn()
        base.equal(site.node.child.wait(30), 65, "exit status")
        site.node.child = None
        base.check("journal has been trimmed" in log_of(site, since), "says why", log_of(site, since)[-1500:])
        for path, data in kept.items():
            with open(path, "wb") as file:
                file.write(data)
        site.node.start()
        site.node.wait_drained("postgres")
        after = alerts(site)
        base.equal({episode: after[episode][:len(events)] for episode, events in before.items()}, before,
                   "nothing of what was published is changed or doubled")


def test_whole_journal_without_snapshots():
    """Not trimmed and both lost: the whole journal is replayed, and decides the same."""
    settings = {"journal": {"segment_size": "1M", "snapshot_bytes": "256k"}}  # retain 3d: nothing is trimmed
    with sites.Site("snapshot-lost", settings=settings) as site:
        site.node.import_rows(loads.cohort(4, 5))
        send_for(site, 3, 4)
        base.wait_for("a snapshot", lambda: snapshots(site), 20, 0.2)
        base.equal(status_of(site)["oldest_segment"], 1, "nothing trimmed")
        site.node.stop()
        for path in snapshots(site):
            os.remove(path)
        site.node.start()
        status = status_of(site)
        base.equal(status["replay_differences"], 0, "decided again as journaled")
        base.check(status["replayed_records"] > 100, "the whole journal", status)
