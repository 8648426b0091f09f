"""The alert topic as strangers read it: by confluent-kafka and by kcat."""
import json
import subprocess
from dataclasses import dataclass

from tests.harness import base, kafka


@dataclass
class Record:
    partition: int
    offset: int
    key: str
    headers: dict
    value: bytes

    def json(self):
        return json.loads(self.value)


def by_confluent(bootstrap, topic="vigie.alerts"):
    """All records that are in the topic now, in order of partition and offset."""
    module = kafka.kafka_module()
    consumer = module.Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False,
                                "log_level": 2, "isolation.level": "read_committed"})
    records, waiting = [], {}
    try:
        for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(module.TopicPartition(topic, partition), timeout=10)
            if high > low:
                waiting[partition] = high
        consumer.assign([module.TopicPartition(topic, partition, 0) for partition in waiting])
        while waiting:
            message = consumer.poll(20)
            base.check(message is not None, "records still to come from", waiting)
            base.check(message.error() is None, message.error())
            headers = {name: value.decode() for name, value in message.headers() or []}
            records.append(Record(message.partition(), message.offset(),
                                  None if message.key() is None else message.key().decode(), headers,
                                  message.value()))
            if message.offset() + 1 >= waiting[message.partition()]:
                del waiting[message.partition()]
    finally:
        consumer.close()
    return sorted(records, key=lambda record: (record.partition, record.offset))


def by_kcat(bootstrap, topic="vigie.alerts"):
    """The same by kcat; fields are separated by control characters that JSON cannot contain."""
    done = subprocess.run(["kcat", "-C", "-e", "-q", "-b", bootstrap, "-t", topic, "-o", "beginning",
                           "-f", "%p\x1f%o\x1f%k\x1f%h\x1f%s\x1e"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    base.equal(done.returncode, 0, "kcat", done.stderr.decode(errors="replace"))
    records = []
    for text in done.stdout.split(b"\x1e"):
        if text:
            partition, offset, key, headers, value = text.split(b"\x1f", 4)
            fields = dict(item.split("=", 1) for item in headers.decode().split(",") if item)
            records.append(Record(int(partition), int(offset), key.decode(), fields, value))
    return sorted(records, key=lambda record: (record.partition, record.offset))
