"""Whose a reading is, or why it is refused: steps 1 and 2 of DESIGN.md section 4 and INTERFACES.md section 4, as plainly as
can be. A world is plain data: {"patients": {ref: (organisation, left_ms)}, "devices": {ref: [(from, to, patient)]},
"names": {(organisation, system, value): patient}, "sources": {ref: Source}}; times are ms, None is open."""
from dataclasses import dataclass, field

GRACE = 3600000  # alerting_assignment_grace of the tests


@dataclass(frozen=True)
class Source:
    ref: str
    kind: str
    organization: str
    devices: tuple = ()
    patient: str = None


@dataclass
class Claim:
    """Who a message names: `patient` by ref, `names` as [(system, value)], `device` by ref."""
    at: int
    device: str = None
    patient: str = None
    names: list = field(default_factory=list)


def organization_of(world, device):
    spans = world["devices"].get(device)
    if spans is None:
        return None
    if spans:
        return world["patients"][spans[-1][2]][0]
    listing = [source.organization for source in world["sources"].values() if device in source.devices]
    return listing[0] if listing else None


def owner_at(spans, at):
    for begins, ends, patient in spans:
        if begins <= at and (ends is None or at < ends):
            return patient
    return spans[0][2] if spans and spans[0][0] - GRACE <= at < spans[0][0] else None


def named(world, source, claim):
    """(code, patient): whom the message names."""
    if claim.patient is not None:
        mine = world["patients"].get(claim.patient, (None,))[0] == source.organization
        return (None, claim.patient) if mine else ("unknown-patient", None)
    found = {world["names"][(source.organization,) + name] for name in claim.names
             if (source.organization,) + name in world["names"]}
    if len(found) > 1:
        return "patient-mismatch", None
    if claim.names and not found:
        return "unknown-patient", None
    return None, next(iter(found), None)


def judge(world, source, claim):
    """(code, patient): code None when it is admitted."""
    code, patient = named(world, source, claim)
    if code == "patient-mismatch":
        return code, None
    device = claim.device if organization_of(world, claim.device) == source.organization else None
    if source.kind == "device" and claim.device is None:
        device = source.devices[0]
    elif source.kind in ("device", "gateway"):
        if device is None:
            return "unknown-device", None
        if device not in source.devices:
            return "forbidden", None
    if code:
        return code, None
    if source.kind == "patient":
        if patient not in (None, source.patient):
            return "forbidden", None
        patient = source.patient
    if device is not None:
        owner = owner_at(world["devices"][device], claim.at)
        if owner is None or world["patients"][owner][0] != source.organization:
            return "not-assigned", None
        if source.kind == "patient" and owner != source.patient:
            return "forbidden", None
        if patient not in (None, owner):
            return "patient-mismatch", None
        patient = owner
    if patient is None:
        return "unknown-patient", None
    left = world["patients"][patient][1]
    return ("not-assigned", None) if left is not None and claim.at >= left else (None, patient)
