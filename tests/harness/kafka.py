"""A real Apache Kafka broker (KRaft, one node) below a directory, on loopback."""
import os
import signal
import subprocess
import time

from tests.harness import base, maven

LIBRARY = maven.library("kafka")
JAVA = ["java", "-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
        "-Dorg.slf4j.simpleLogger.showDateTime=true"]

SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={directory}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=2
log.cleaner.enable=false
"""


def kafka_module():
    try:
        import confluent_kafka
        import confluent_kafka.admin
    except ImportError:
        raise base.Unavailable("python3-confluent-kafka is not installed: tests/deps.sh")
    return confluent_kafka


class Broker:
    """`more`: lines of server.properties beside ours."""

    def __init__(self, directory, more=""):
        maven.fetch("kafka", "Apache Kafka")
        self.more = more
        self.directory = os.path.abspath(directory)
        self.log = os.path.join(self.directory, "kafka.log")
        self.settings = os.path.join(self.directory, "server.properties")
        self.child = None
        if os.path.exists(self.settings):
            with open(os.path.join(self.directory, "port")) as file:
                self.port = int(file.read())
        else:
            self._make()
        self.bootstrap = "127.0.0.1:%d" % self.port

    def _tool(self, *arguments):
        command = JAVA + ["-cp", LIBRARY + "/*"] + list(arguments)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        base.equal(done.returncode, 0, arguments[0], done.stdout.decode(errors="replace"))
        return done.stdout.decode().split()

    def _make(self):
        os.makedirs(self.directory, exist_ok=True)
        self.port, controller = base.free_port(), base.free_port()
        with open(self.settings, "w") as file:
            file.write(SETTINGS.format(port=self.port, controller=controller, directory=self.directory) + self.more)
        with open(os.path.join(self.directory, "port"), "w") as file:
            file.write(str(self.port))
        cluster = self._tool("kafka.tools.StorageTool", "random-uuid")[-1]
        self._tool("kafka.tools.StorageTool", "format", "-t", cluster, "-c", self.settings)

    def start(self):
        """Starts and waits until a record has gone through; also after a stop, on the same data and port."""
        try:
            self.child = base.spawn(JAVA + ["-cp", LIBRARY + "/*", "kafka.Kafka", self.settings], self.log)
        except FileNotFoundError:
            raise base.Unavailable("no Java: tests/deps.sh")
        base.wait_for("the broker listens", self._listens, 90, 0.2)
        self.create_topic("harness.probe", 1)
        self.pass_record("harness.probe", b"%d" % time.monotonic_ns())
        return self

    def _listens(self):
        import socket
        if self.child.poll() is not None:
            raise base.Failure("Kafka ended: " + base.tail(self.log))
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, number=signal.SIGTERM):
        if self.child is not None:
            base.stop_process(self.child, number, 60)
            self.child = None

    def kill(self):
        self.stop(signal.SIGKILL)

    def create_topic(self, topic, partitions=12, config=None):
        """Makes the topic if it is not there and waits until each partition has a leader."""
        kafka = kafka_module()
        admin = kafka.admin.AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 2})

        def made():
            try:
                wanted = kafka.admin.NewTopic(topic, num_partitions=partitions, replication_factor=1,
                                              config=config or {})
                for result in admin.create_topics([wanted], request_timeout=5).values():
                    result.result(10)
            except kafka.KafkaException as error:
                return error.args[0].code() == kafka.KafkaError.TOPIC_ALREADY_EXISTS
            return True

        def led():
            try:
                known = admin.list_topics(topic, timeout=5).topics[topic].partitions
            except kafka.KafkaException:
                return False
            return known and all(partition.leader == 1 for partition in known.values())

        base.wait_for("topic %s is made" % topic, made, 60, 0.3)
        base.wait_for("topic %s has leaders" % topic, led, 60, 0.3)

    def pass_record(self, topic, value):
        """One record through: produced, and read back by a consumer."""
        kafka = kafka_module()
        producer = kafka.Producer({"bootstrap.servers": self.bootstrap, "acks": "all", "log_level": 2})
        reports = []
        producer.produce(topic, value, on_delivery=lambda error, message: reports.append((error, message)))
        producer.flush(30)
        base.check(reports and reports[0][0] is None, "record delivered", reports)
        message = reports[0][1]
        consumer = kafka.Consumer({"bootstrap.servers": self.bootstrap, "group.id": "harness", "log_level": 2,
                                   "enable.auto.commit": False})
        try:
            consumer.assign([kafka.TopicPartition(topic, message.partition(), message.offset())])
            back = base.wait_for("the record comes back", lambda: consumer.poll(1.0), 30)
            base.check(back.error() is None, back.error())
            base.equal(back.value(), value, "record")
        finally:
            consumer.close()
