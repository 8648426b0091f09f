"""The ground: a real PostgreSQL and a real Apache Kafka, up, one record through each, also after a restart."""
import os
import subprocess

from tests.harness import base, kafka, pg


def test_postgresql_keeps_a_row_over_stop_and_crash():
    cluster = pg.Cluster(os.path.join(base.work_directory("servers-pg"), "pg")).start()
    try:
        cluster.create_database("vigie")
        cluster.query("CREATE TABLE probe (n int)", database="vigie")
        cluster.query("INSERT INTO probe VALUES (1)", database="vigie")
        port = cluster.port
        cluster.restart("fast")
        cluster.restart("immediate")
        base.equal(cluster.port, port, "port")
        base.equal(cluster.query("SELECT n FROM probe", database="vigie"), [(1,)], "row")
        base.equal(cluster.psql("SELECT n FROM probe", "vigie"), "1", "row by psql")
    finally:
        cluster.stop()


def test_kafka_passes_a_record_and_keeps_it():
    broker = kafka.Broker(os.path.join(base.work_directory("servers-kafka"), "kafka")).start()
    try:
        broker.create_topic("vigie.alerts", 3)
        broker.pass_record("vigie.alerts", b"kept")
        bootstrap = broker.bootstrap
        broker.stop()
        broker.start()
        base.equal(broker.bootstrap, bootstrap, "bootstrap")
        done = subprocess.run(["kcat", "-C", "-e", "-q", "-b", broker.bootstrap, "-t", "vigie.alerts"],
                              stdout=subprocess.PIPE, timeout=30)
        base.equal(done.stdout, b"kept\n", "the record by kcat after a restart")
    finally:
        broker.stop()
