"""The publisher against a real Kafka and a real PostgreSQL: fatal producers, full queues, poison, trimmed journals."""
import functools
import os
import subprocess
import time

from tests.harness import base, consume, kafka, pg

PATIENTS = 17
NOBODY = "127.0.0.1:1"
FORGETFUL = "producer.id.expiration.ms=1500\nproducer.id.expiration.check.interval.ms=500\n"


@functools.lru_cache(None)
def build():
    program = os.path.join(base.BUILD, "test", "publisher_drive")
    os.makedirs(os.path.dirname(program), exist_ok=True)
    packages = ["rdkafka", "libpq", "jansson", "openssl", "libxxhash"]
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs"] + packages).decode().split()
    subprocess.check_call(["gcc", "-std=c17", "-D_GNU_SOURCE", "-g", "-O1", "-I.",
                           "tests/integration/publisher_drive.c", os.path.join(base.BUILD, "libvigie.a"),
                           "-o", program] + os.environ.get("SANITIZE", "").split() + flags + ["-lpthread"],
                          cwd=base.ROOT)
    return program


@functools.lru_cache(None)
def servers():
    directory = base.work_directory("publisher")
    cluster = pg.Cluster(os.path.join(directory, "pg")).start()
    return directory, cluster, kafka.Broker(os.path.join(directory, "kafka"), FORGETFUL).start()


def tear_down():
    if servers.cache_info().currsize:
        _, cluster, broker = servers()
        broker.stop()
        cluster.stop("immediate")


class Drive:
    """A node of its own: journals and a database by the name, a topic too unless `topic` is one."""

    def __init__(self, name, topic=None, partitions=3, config=None):
        directory, cluster, broker = servers()
        self.directory = base.fresh_directory(os.path.join(directory, name))
        self.database, self.topic, self.serial, self.bytes = "publish_" + name, topic or "t." + name, 0, {}
        os.makedirs(os.path.join(self.directory, "journal"))
        cluster.create_database(self.database)
        if topic is None:
            broker.create_topic(self.topic, partitions, config)
        settings = os.path.join(self.directory, "vigie.conf")
        with open(settings, "w") as file:
            file.write("[node]\nmode = test\nstate_dir = %s\n[postgres]\nconninfo = %s\n"
                       % (self.directory, cluster.conninfo(self.database)))
        subprocess.run([os.path.join(base.BUILD, "vigiectl"), "--config", settings, "db", "migrate"], check=True,
                       stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        self.log = open(os.path.join(self.directory, "drive.log"), "ab")
        self.child = subprocess.Popen([build(), self.directory, cluster.conninfo(self.database)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.child.stdin.close()
        status = self.child.wait(30)
        if kind is None:
            base.equal(status, 0, "exit of publisher_drive\n" + base.tail(self.log.name))

    def say(self, line, expect="OK"):
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline().decode().rstrip("\n")
        base.check(answer, "publisher_drive ended at:", line, self.child.poll(), base.tail(self.log.name))
        if expect is not None:
            base.equal(answer, expect, line)
        return answer

    def start(self, *extra, bootstrap=None):
        self.say(" ".join(("start", bootstrap or servers()[2].bootstrap, self.topic) + extra))

    def events(self, count, size=300, organization="ORG-A"):
        """Written and durable; what each is to be is asked of the drive when it is compared."""
        self.say("events %d %d %d %s" % (count, self.serial, size, organization))
        for serial in range(self.serial, self.serial + count):
            self.bytes[serial] = (size, organization)
        self.serial += count

    def payload(self, serial):
        return self.say("payload %d %d %s" % ((serial,) + self.bytes[serial]), None).encode()

    def figures(self):
        return {name: int(value) for name, value in
                (pair.split("=") for pair in self.say("figures", None).split())}

    def wait(self, seconds=30, **wanted):
        """Until the figures are so, and stay so: they are told once a round."""
        def so():
            found = self.figures()
            return all(found[name] == value for name, value in wanted.items())

        def there():
            return so() and (time.sleep(0.1) or so())
        base.wait_for("%s\n%s\n" % (wanted, base.tail(self.log.name)), there, seconds, 0.05)

    def log_text(self):
        with open(self.log.name) as file:
            return file.read()

    def expect(self, serials, topic=None, repeats=None):
        """Every serial at least once, all bytes and headers as they were decided, order per patient kept."""
        records = consume.by_confluent(servers()[2].bootstrap, topic or self.topic)
        first, last = {}, {}
        for record in records:
            serial = record.json()["serial"]
            base.equal(record.value, self.payload(serial), "bytes of", serial)
            base.equal(record.key, "P-%d" % (serial % PATIENTS), "key of", serial)
            base.equal(record.headers["ce_type"],
                       "fr.vigie.alert.%s.v1" % ("cleared" if serial % 2 else "raised"), serial)
            base.equal(record.headers["ce_id"], serial.to_bytes(4, "little").hex() + "-0000-0000-0000-000000000000")
            base.equal((record.headers["ce_source"], len(record.headers)), ("drive", 7), serial)
            if serial not in first:
                base.check(serial > last.get(record.key, -1), "order of", record.key, serial, last.get(record.key))
                last[record.key] = first[serial] = serial
        base.equal(sorted(first), sorted(serials), "serials on the topic")
        if repeats is not None:
            base.equal(len(records) - len(first), repeats, "repeats")


def test_a_fatal_producer_is_made_anew_and_loses_nothing():
    with Drive("fatal") as drive:
        drive.start()
        for times in range(3):
            drive.events(1500)
            drive.say("fatal")
            drive.events(300)
            drive.wait(generation=times + 2)
        drive.wait(lag=0, state=1)
        drive.say("stop")
        drive.expect(range(drive.serial))


def test_an_idle_producer_that_the_broker_forgot_goes_on():
    """PITFALLS K8: alerts are rare; the broker drops the state of a producer that was silent for long."""
    with Drive("idle") as drive:
        drive.start()
        drive.events(50)
        drive.wait(lag=0)
        time.sleep(4)
        drive.events(50)
        drive.wait(lag=0, state=1)
        drive.say("stop")
        drive.expect(range(drive.serial))


def test_a_full_queue_is_back_pressure():
    """PITFALLS K1: 300 messages at a time; with the broker away nothing spins and nothing grows."""
    broker = servers()[2]
    with Drive("full") as drive:
        drive.start("queue.buffering.max.messages", "300")
        drive.events(2000)
        drive.wait(lag=0)
        broker.stop()
        drive.events(20000)
        drive.wait(lag=20000)
        before = drive.figures()
        time.sleep(3)
        after = drive.figures()
        base.check(after["cpu_ms"] - before["cpu_ms"] < 600, "it spins", before, after)
        base.check(after["resident_kb"] < 150000, "it grows", after)
        broker.start()
        drive.wait(60, lag=0)
        drive.say("stop")
        drive.expect(range(drive.serial))


def mend(topic):
    """The topic's limit as an operator raises it."""
    module = kafka.kafka_module()
    admin = module.admin.AdminClient({"bootstrap.servers": servers()[2].bootstrap, "log_level": 2})
    resource = module.admin.ConfigResource(module.admin.ConfigResource.Type.TOPIC, topic,
                                           set_config={"max.message.bytes": "1000000"})
    for done in admin.alter_configs([resource]).values():
        done.result(30)


def test_an_event_that_the_broker_refuses_is_parked_alone():
    with Drive("poison", config={"max.message.bytes": "4000"}) as drive:
        drive.start()
        drive.events(40)
        drive.events(1, 9000)
        drive.events(60)
        drive.wait(lag=0, parked=1)
        drive.say("stop")
        base.check("parked" in drive.log_text(), "a line about it")
        drive.start()
        drive.events(10)
        drive.wait(lag=0, parked=1, state=1)
        drive.say("stop")
        drive.expect([serial for serial in range(drive.serial) if serial != 40])
        mend(drive.topic)
        drive.start()
        drive.wait(lag=0, parked=0, state=1)
        drive.say("stop")
        serials = [record.json()["serial"] for record in consume.by_confluent(servers()[2].bootstrap, drive.topic)]
        base.equal(serials.count(40), 1, "the parked event comes when the topic takes it")


def test_what_the_journal_has_no_more_comes_from_postgresql():
    cluster = servers()[1]
    with Drive("trimmed") as drive:
        drive.events(700, 900)
        drive.start(bootstrap=NOBODY)
        drive.wait(lag=700)
        drive.events(1500, 900)
        drive.say("stop")
        drive.say("load 1")
        drive.say("trim 0")
        drive.say("trim 1")
        drive.events(300)
        drive.start()
        drive.wait(lag=0, archived=0, state=1)
        drive.events(50)
        drive.wait(lag=0)
        drive.say("stop")
        drive.expect(range(drive.serial), repeats=0)
        rows = cluster.query("SELECT event_id::text, payload::text FROM vigie.alert_event", database=drive.database)
        base.equal(len(rows), 2200, "rows of alert_event")
        found = {record.headers["ce_id"]: record.value.decode()
                 for record in consume.by_confluent(servers()[2].bootstrap, drive.topic)}
        base.equal([row for row in rows if found[row[0]] != row[1]], [], "payloads")


def test_with_postgresql_away_only_the_trimmed_shard_waits():
    cluster = servers()[1]
    with Drive("away") as drive:
        drive.events(1500, 900)
        drive.say("load 1")
        drive.say("trim 0")
        cluster.stop("immediate")
        drive.start()
        drive.events(100)
        drive.wait(archived=1, away=1)
        odd = [serial for serial in range(1600) if serial % PATIENTS % 2]
        drive.wait(delivered=len(odd))
        cluster.start()
        drive.wait(lag=0, archived=0, away=0)
        drive.say("stop")
        drive.expect(range(drive.serial))


def test_a_missing_topic_of_one_organisation_waits_alone():
    """Behind over a restart and a trim; the seam of its own stream is PostgreSQL's and the journal's."""
    broker = servers()[2]
    broker.create_topic("o.ORG-A", 2)
    with Drive("behind", topic="o.{organization}") as drive:
        mine, late = [], []
        for _ in range(20):
            mine += range(drive.serial, drive.serial + 60)
            drive.events(60, 900)
            late += range(drive.serial, drive.serial + 40)
            drive.events(40, 900, "ORG_B")
        drive.start()
        drive.wait(delivered=len(mine), missing=1, lag=len(late))
        drive.say("stop")
        drive.say("load 1")
        drive.say("trim 0")
        drive.start()
        late += range(drive.serial, drive.serial + 40)
        drive.events(40, organization="ORG_B")
        mine += range(drive.serial, drive.serial + 60)
        drive.events(60)
        drive.wait(delivered=len(mine), missing=1)
        broker.create_topic("o.ORG_5fB", 2)
        drive.wait(lag=0, missing=0, state=1, delivered=len(mine) + len(late))
        drive.say("stop")
        drive.expect(mine, "o.ORG-A", repeats=0)
        drive.expect(late, "o.ORG_5fB", repeats=0)
