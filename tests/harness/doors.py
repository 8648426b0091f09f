"""One sender for each door of the ingest: a message of some readings in the door's own format, and how many of them were
taken. Nothing but Python is needed: the demo sends by all of them."""
import json

from tests.harness import base, check, hl7v2, mqtt

KEYS = {"device": 1, "time": 3, "readings": 4, "code": 5, "value": 6, "unit": 7}


def cbor(value):
    """RFC 8949; keys of a message as numbers, fractions as decimal fractions, so that 70.4 is 70.4."""
    def head(kind, number):
        for extra, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
            if number < 24:
                return bytes([kind << 5 | number])
            if number < 1 << 8 * size:
                return bytes([kind << 5 | extra]) + number.to_bytes(size, "big")

    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(head(0, KEYS[key]) + cbor(one) for key, one in value.items())
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    return head(6, 4) + head(4, 2) + cbor(-3) + cbor(round(value * 1000))


def message(device, at, readings):
    return {"device": device, "time": check.to_text(at),
            "readings": [dict(zip(("code", "value", "unit"), one)) for one in readings]}


def observation(patient, at, readings):
    """One value, or a panel of components."""
    parts = [{"code": {"coding": [{"system": "http://loinc.org", "code": code}]},
              "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}}
             for code, value, unit in readings]
    resource = {"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/" + patient},
                "effectiveDateTime": check.to_text(at)}
    if len(parts) == 1:
        return dict(resource, **parts[0])
    return dict(resource, code={"coding": [{"system": "http://loinc.org", "code": "85354-9"}]}, component=parts)


class Doors:
    """`gateway` and `system`: tokens; the listener mllp speaks for a system that knows the patients."""

    def __init__(self, node, gateway, system):
        self.gateway, self.system = node.https(gateway), node.https(system)
        self.mqtt = mqtt.Wire(node.ports["mqtts"], node.certificate)
        self.mqtt.open("doors", gateway, 5, keep_alive=0)
        self.mllp = hl7v2.Wire(node.ports["mllp"])
        self.number = 0

    def close(self):
        for one in (self.gateway, self.system, self.mqtt, self.mllp):
            one.close()

    def send(self, door, patient, device, at, readings):
        """`readings`: (LOINC code, value, unit in UCUM), all of the instant `at`; fails unless each is taken."""
        self.number = self.number % 65535 + 1
        answer = getattr(self, "_" + door)(patient, device, at, readings)
        base.check(answer is None, "a reading of", patient, "by", door, "was answered", answer)

    def _json(self, patient, device, at, readings):
        answer = self.gateway.readings(message(device, at, readings))
        return None if answer.status == 200 and answer.json()["accepted"] == len(readings) else answer

    def _cbor(self, patient, device, at, readings):
        answer = self.gateway.post("/v1/readings", cbor(message(device, at, readings)), "application/cbor")
        return None if answer.status == 200 and answer.json()["accepted"] == len(readings) else answer

    def _fhir(self, patient, device, at, readings):
        answer = self.system.fhir(observation(patient, at, readings))
        return None if answer.status == 201 else answer

    def _mqtt(self, patient, device, at, readings):
        payload = json.dumps(message(device, at, readings)).encode()
        self.mqtt.send(mqtt.publish("vigie/v1/%s/readings" % device, payload, 1, self.number, version=5))
        told = self.mqtt.next(mqtt.PUBACK)
        return None if (told.number, told.reason) == (self.number, 0) else told

    def _mllp(self, patient, device, at, readings):
        lines = [hl7v2.numeric(index + 1, code + "^^LN", "%g" % value, unit + "^^UCUM", at, path="1.1.%d.1" % (index + 1))
                 for index, (code, value, unit) in enumerate(readings)]
        answer = self.mllp.ask(hl7v2.observation("D-%d-%d" % (at, self.number), at, *lines, who=patient))
        return None if answer is not None and answer.code == "CA" and answer.error is None else answer
