"""MQTT from outside: Eclipse mosquitto's clients and broker as an operator has them, and a client of bytes.

The client of bytes says exactly what a test wants it to say, and no more: it acknowledges nothing by itself.
"""
import os
import socket
import ssl
import struct
import subprocess

from tests.harness import base, client

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 5, 6, 7, 8, 9
UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 10, 11, 12, 13, 14


# ---------------------------------------------------------------------------------------------- bytes

def varint(number):
    out = b""
    while True:
        number, low = number >> 7, number & 127
        out += bytes([low | (128 if number else 0)])
        if not number:
            return out


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(value)) + value


def packet(kind, body=b"", flags=0):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def connect(name, password, version=4, clean=True, keep_alive=60, properties=b"", user="user"):
    flags = (2 if clean else 0) | (0xC0 if password is not None else 0)
    body = text("MQTT") + bytes([version, flags]) + struct.pack(">H", keep_alive)
    if version == 5:
        body += varint(len(properties)) + properties
    body += text(name)
    if password is not None:
        body += text(user) + text(password)
    return packet(CONNECT, body)


def publish(topic, payload, qos=1, number=1, again=False, version=4, properties=b""):
    body = text(topic) + (struct.pack(">H", number) if qos else b"")
    if version == 5:
        body += varint(len(properties)) + properties
    return packet(PUBLISH, body + payload, (8 if again else 0) | qos << 1)


def acknowledge(kind, number):
    return packet(kind, struct.pack(">H", number), 2 if kind == PUBREL else 0)


def subscribe(topic, qos=1, number=1, version=4):
    properties = b"\0" if version == 5 else b""
    return packet(SUBSCRIBE, struct.pack(">H", number) + properties + text(topic) + bytes([qos]), 2)


class Packet:
    def __init__(self, kind, flags, body):
        self.kind, self.flags, self.body = kind, flags, body

    @property
    def number(self):
        """Of an acknowledgement."""
        return struct.unpack(">H", self.body[:2])[0]

    @property
    def reason(self):
        """Of an acknowledgement of MQTT 5; without one it is 0."""
        return self.body[2] if len(self.body) > 2 else 0

    def __repr__(self):
        return "packet %d flags %d %r" % (self.kind, self.flags, self.body[:200])


class Wire(client.Wire):
    """One connection over MQTT."""
    ENDS = (ConnectionResetError, ssl.SSLEOFError)
    version = 4

    def send(self, *packets):
        self.socket.sendall(b"".join(packets))

    def next(self, kind=None):
        """The next packet, of `kind` if that is said; None at the end of the connection."""
        while True:
            found = self._whole()
            if found is not None:
                base.check(kind is None or found.kind == kind, "a packet of kind", kind, "expected, found", found)
                return found
            if not self.receive():
                base.check(kind is None, "a packet of kind", kind, "expected, found the end")
                return None

    def _whole(self):
        size, shift, at = 0, 0, 1
        while True:
            if at >= len(self.received):
                return None
            size |= (self.received[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if not self.received[at - 1] & 128:
                break
        if len(self.received) < at + size:
            return None
        head, body, self.received = self.received[0], self.received[at:at + size], self.received[at + size:]
        return Packet(head >> 4, head & 15, body)

    def open(self, name, password, version=4, **more):
        """Says who we are; whether the session was there."""
        self.version = version
        self.send(connect(name, password, version, **more))
        answer = self.next(CONNACK)
        base.equal(answer.body[1], 0, "CONNACK")
        return bool(answer.body[0] & 1)


# ---------------------------------------------------------------------------------------------- mosquitto

def broker_program():
    path = os.path.join(base.ROOT, "build", "mosquitto", "usr", "sbin", "mosquitto")
    if not os.path.exists(path):
        raise base.Unavailable("build/mosquitto is not there: tests/deps.sh test")
    return path


def tool(name, *arguments, stdin=None, seconds=20):
    """mosquitto_pub or mosquitto_sub: (exit status, standard output, errors)."""
    try:
        done = subprocess.run([name] + [str(one) for one in arguments], input=stdin or b"", stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=seconds)
    except FileNotFoundError:
        raise base.Unavailable("%s is not installed" % name)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def access(node, token=None, pair=None, version="5", name=None):
    """The options of a mosquitto client for the listener mqtts of a node."""
    found = ["-h", "127.0.0.1", "-p", node.ports["mqtts"], "--cafile", node.certificate, "-V", version]
    if token is not None:
        found += ["-u", "gateway", "-P", token]
    if pair is not None:
        found += ["--cert", pair[0], "--key", pair[1]]
    if name is not None:
        found += ["-i", name]
    return found


class Broker:
    """A mosquitto broker on loopback; `lines` go into its configuration beside a listener for anybody."""

    def __init__(self, directory, lines=()):
        os.makedirs(directory, exist_ok=True)
        self.port, self.log = base.free_port(), os.path.join(directory, "mosquitto.log")
        self.config = os.path.join(directory, "mosquitto.conf")
        with open(self.config, "w") as file:
            file.write("\n".join(["listener %d 127.0.0.1" % self.port, "allow_anonymous true", "user root"]
                                 + list(lines)) + "\n")
        self.child = None

    def start(self):
        self.child = base.spawn([broker_program(), "-v", "-c", self.config], self.log)
        base.wait_for("mosquitto listens\n" + base.tail(self.log), self._answers, 10)
        return self

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.child is not None:
            child, self.child = self.child, None
            base.stop_process(child)
