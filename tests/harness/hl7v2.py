"""HL7 v2 from outside: messages as IHE's PCD-01 and PCD-04 have them, made by the tests, and MLLP by hand."""

from tests.harness import base, client

BEGIN, END = b"\x0b", b"\x1c\r"


def stamp(ms):
    """A time of HL7 v2 in UTC."""
    from tests.harness import check
    return check.to_text(ms)[:23].replace("-", "").replace(":", "").replace("T", "").replace("Z", "") + "+0000"


def header(control, kind="ORU^R01^ORU_R01", modes="AL|NE", processing="P", version="2.6", charset="UNICODE UTF-8",
           profile="IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO"):
    return "MSH|^~\\&|GW^ACDE48234567ABCD^EUI-64||||20261121083000+0000||%s|%s|%s|%s|||%s||%s|||%s" % (
        kind, control, processing, version, modes, charset, profile)


def patient(value, system="2.999.1", kind="PI"):
    return "PID|||%s^^^HOSP&%s&ISO^%s||Test^Person^^^^^L" % (value, system, kind)


def numeric(index, code, value, unit, ms=None, status="F", path="1.1.1.1", kind="NM"):
    return "OBX|%d|%s|%s|%s|%s|%s|||||%s|||%s" % (index, kind, code, path, value, unit, status, stamp(ms) if ms else "")


WEIGHT = "188736^MDC_MASS_BODY_ACTUAL^MDC", "263875^MDC_DIM_KILO_G^MDC"
PULSE = "149530^MDC_PULS_OXIM_PULS_RATE^MDC", "264864^MDC_DIM_BEAT_PER_MIN^MDC"


def observation(control, ms, *lines, who="P-1", **more):
    """An ORU^R01 with its OBX segments; text, segments ended by CR."""
    segments = [header(control, **more)] + ([patient(who)] if who else [])
    segments += ["OBR|1|ORDER^GW^ACDE48234567ABCD^EUI-64|FILL^GW^ACDE48234567ABCD^EUI-64|182777000^monitoring of patient^SCT|||"
                 + stamp(ms)]
    return "\r".join(segments + list(lines)) + "\r"


def weight(control, ms, value, **more):
    return observation(control, ms, numeric(1, WEIGHT[0], value, WEIGHT[1]), **more)


def framed(message):
    return BEGIN + (message.encode() if isinstance(message, str) else message) + END


class Answer:
    """An acknowledgement: its fields by segment."""

    def __init__(self, content):
        self.text = content.decode(errors="replace")
        self.segments = [segment.split("|") for segment in self.text.split("\r") if segment]

    def segment(self, name):
        return next((segment for segment in self.segments if segment[0] == name), None)

    @property
    def code(self):
        return self.segment("MSA")[1]

    @property
    def control(self):
        return self.segment("MSA")[2]

    @property
    def error(self):
        """Of table 0357, the number alone."""
        found = self.segment("ERR")
        return found and found[3].split("^")[0]

    @property
    def severity(self):
        found = self.segment("ERR")
        return found and found[4]

    def __repr__(self):
        return self.text.replace("\r", "\n")


class Wire(client.Wire):
    """One connection over MLLP."""

    def send(self, *messages):
        self.socket.sendall(b"".join(framed(message) for message in messages))

    def next(self):
        """The next acknowledgement; None at the end of the connection."""
        while END not in self.received:
            if not self.receive():
                return None
        frame, _, self.received = self.received.partition(END)
        base.check(frame.startswith(BEGIN), "a frame begins with VT:", frame)
        return Answer(frame[1:])

    def ask(self, message):
        self.send(message)
        return self.next()
