"""An independent evaluator of RULES.md: the set of episodes that readings, rule versions and the clock imply.

Written from the text of RULES.md (sections 1 to 4) alone, plain and slow: every series is evaluated whole, from its
sorted readings, with exact fractions; nothing is incremental, nothing is shared with the product. Kinds: limit,
change, silence. It gives episodes without their ids: (rule, side, raised_at, cleared_at, priorities).

Times are milliseconds since 1970, values whole millionths of the canonical unit.
"""
import bisect
import datetime
import functools
import zoneinfo
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Optional

HOUR = 3600 * 1000
DAY = 24 * HOUR
PRIORITIES = ["low", "medium", "high"]
LAYERS = ["patient", "team", "organization", "line"]
CONTINUOUS = {"heart-rate", "pulse-rate", "spo2", "respiratory-rate", "glucose-interstitial", "insulin-pump-rate",
              "ventilation-leak-total", "ventilation-leak-unintentional", "oxygen-flow"}
GLUCOSE = {"glucose-blood", "glucose-interstitial"}
COMPARATOR_ORDER = {"": 0, "<": 1, ">": 2}
FOREVER = 1 << 62

# unit of a rule: (factor, offset) to the canonical unit; what is not named here is canonical already
UNITS = {"g": (Fraction(1, 1000), 0), "[lb_av]": (Fraction("0.45359237"), 0), "kPa": (Fraction("7.50062"), 0),
         "[degF]": (Fraction(5, 9), Fraction(-160, 9)), "K": (1, Fraction("-273.15")),
         "mmol/L": (Fraction("18.0156"), 0), "g/L": (100, 0)}
CANONICAL_MMOL = {"potassium", "sodium"}


def duration(text):
    """"36h" as milliseconds."""
    for unit, size in (("ms", 1), ("s", 1000), ("m", 60000), ("h", HOUR), ("d", DAY)):
        if text.endswith(unit) and text[:-len(unit)].isdigit():
            return int(text[:-len(unit)]) * size
    raise ValueError("duration " + text)


def round_half_even(exact):
    return round(exact)  # of a Fraction: half to even


def conversion(rule):
    if rule.get("parameter") in CANONICAL_MMOL:
        return Fraction(1), Fraction(0)
    factor, offset = UNITS.get(rule.get("unit"), (1, 0))
    return Fraction(factor), Fraction(offset)


def limit_of(rule, number):
    """A limit converts as a value."""
    factor, offset = conversion(rule)
    return round_half_even((Fraction(str(number)) * factor + offset) * 1000000)


def difference_of(rule, number):
    """A difference converts by the factor alone."""
    return round_half_even(Fraction(str(number)) * conversion(rule)[0] * 1000000)


@dataclass
class Reading:
    patient: str
    parameter: str
    value: int
    measured_at: int
    received_at: int
    device: str = ""          # device or source of the key
    sensor: str = ""
    comparator: str = ""
    status: str = "final"     # preliminary final corrected void
    source: str = ""
    alias: Optional[str] = None
    issued: Optional[int] = None
    day_only: bool = False
    quarantined: bool = False
    test: bool = False
    request: int = 0          # readings of one request enter together

    def key(self):
        return self.patient, self.parameter, self.device, self.sensor, self.measured_at

    def identity(self):
        return self.key() + (self.value, self.comparator)


@dataclass
class Version:
    """One version of a rule in one layer; valid_from as moved, commit as journaled."""
    rule: dict
    layer: str
    valid_from: int
    commit: int
    version: int = 1


@dataclass
class Patient:
    ref: str
    enrolled_at: int
    zone: str = "Europe/Paris"
    left_at: Optional[int] = None
    confirmations: list = field(default_factory=list)  # (from, commit)
    suspensions: list = field(default_factory=list)    # (rule id, from, until)


@dataclass
class Episode:
    rule: str
    side: str
    patient: str
    raised_at: int
    cleared_at: Optional[int] = None
    priorities: list = field(default_factory=list)     # (time, priority)
    closed: bool = False                               # the patient left

    def as_tuple(self):
        return (self.rule, self.side, self.patient, self.raised_at, self.cleared_at,
                tuple((time, priority) for time, priority in self.priorities))


# ---------------------------------------------------------------------------------------------- rule versions

class Timeline:
    """Which version of a rule is in force for a patient, moment by moment (section 2, Layers and Versions)."""

    def __init__(self, patient, versions):
        self.patient = patient
        self.versions = [version for version in versions if not self._replaced(version, versions)]
        patient_layer = [version.valid_from for version in versions if version.layer == "patient"]
        self.from_of = {}
        for version in self.versions:
            start = version.valid_from
            if version.layer != "patient":
                start = max(start, patient.enrolled_at)
            if self._waits(version):
                confirmed = [at for at, commit in patient.confirmations if commit >= version.commit]
                start = max(start, min(confirmed + patient_layer, default=FOREVER))
            self.from_of[id(version)] = start

    def _waits(self, version):
        """A physician must confirm it: once asked for in a layer, always; but not again the same act in other words."""
        if version.layer not in ("line", "organization") or version.rule.get("kind") == "silence":
            return False
        earlier = [other for other in self.versions if other.layer == version.layer
                   and (other.commit, other.version) < (version.commit, version.version)]
        if not any(other.rule.get("requires_validation") for other in earlier + [version]):
            return False
        confirmed = [other for other in earlier if other.valid_from <= version.commit and any(
            at <= version.commit and commit >= other.commit for at, commit in self.patient.confirmations)]
        act = lambda rule: {key: rule[key] for key in rule if key not in ("text", "source", "tag")}  # noqa: E731
        return not confirmed or act(max(confirmed, key=lambda other: (other.valid_from, other.commit, other.version)
                                        ).rule) != act(version.rule)

    @staticmethod
    def _replaced(version, versions):
        """Replaced while it waited: a later word of the same layer was in force before it began."""
        return any(other.layer == version.layer and other.commit > version.commit
                   and other.commit < version.valid_from and other.valid_from <= version.valid_from
                   for other in versions)

    def at(self, moment):
        """The version in force, or None; a disabled or ended rule is None."""
        if self.patient.left_at is not None and moment >= self.patient.left_at:
            return None
        for layer in LAYERS:
            begun = [version for version in self.versions
                     if version.layer == layer and self.from_of[id(version)] <= moment]
            if not begun:
                continue
            version = max(begun, key=lambda version: (self.from_of[id(version)], version.commit, version.version))
            if version.rule.get("inherit"):
                continue
            return None if version.rule.get("enabled") is False else version
        return None

    def changes(self):
        """All moments at which something may begin or end."""
        moments = {start for start in self.from_of.values() if start < FOREVER}
        if self.patient.left_at is not None:
            moments.add(self.patient.left_at)
        return sorted(moments)

    def ends(self, clock):
        """Moments at which the rule goes out of force, and whether the patient left."""
        return [(moment, moment == self.patient.left_at) for moment in self.changes()
                if moment <= clock and self.at(moment) is None and self.at(moment - 1) is not None]


# ---------------------------------------------------------------------------------------------- series

def winners(readings):
    """Section 1, Versions: what counts of all that was received for one patient and parameter."""
    first = {}
    for reading in sorted(readings, key=lambda reading: reading.received_at):
        mark = reading.status if reading.status in ("corrected", "void") else ""
        rank = ("preliminary", "final").index(reading.status) if not mark else 0
        known = first.get((reading.identity(), mark, reading.issued if mark else None))
        if known is None or (not mark and rank > ("preliminary", "final").index(known.status)):
            first[(reading.identity(), mark, reading.issued if mark else None)] = reading
    plain = [reading for reading in first.values() if reading.status in ("preliminary", "final")]
    amendments = [reading for reading in first.values() if reading.status in ("corrected", "void")]
    aliased = {(reading.source, reading.alias) for reading in plain if reading.alias is not None}

    def means(amendment, reading):
        if amendment.alias is None or (amendment.source, amendment.alias) not in aliased:
            return amendment.key() == reading.key()
        if (amendment.source, amendment.alias) != (reading.source, reading.alias):
            return False
        several = [other for other in plain if (other.source, other.alias) == (amendment.source, amendment.alias)]
        own = [other for other in several if other.key() == amendment.key()]
        return reading in (own or several)

    def strength(amendment):
        """A void without a version time is never taken back: missing, the void wins."""
        return (amendment.issued if amendment.issued is not None else FOREVER, amendment.status == "void",
                amendment.value, COMPARATOR_ORDER[amendment.comparator])

    def beats(one, other):
        """Equals of two keys: one of them counts, the first in series order."""
        place = (one.measured_at, one.device.encode(), one.sensor.encode())
        return (strength(one), (other.measured_at, other.device.encode(), other.sensor.encode())) > (
            strength(other), place)

    def rivals(one, other):
        if one is other:
            return False
        same_alias = one.alias is not None and (one.source, one.alias) == (other.source, other.alias)
        return same_alias or one.key() == other.key() or any(
            means(one, reading) and means(other, reading) for reading in plain)

    won = []
    for reading in plain:
        if any(means(amendment, reading) for amendment in amendments):
            continue
        if reading.status == "preliminary" and any(
                final.status == "final" and final.key() == reading.key()
                and (final.alias is None or reading.alias is None or final.alias == reading.alias)
                for final in plain):
            continue
        won.append(reading)
    for amendment in amendments:
        if amendment.status == "corrected" and not any(
                rivals(amendment, other) and beats(other, amendment) for other in amendments):
            won.append(amendment)
    return won


def look_back(parameter):
    return (16 if parameter in CONTINUOUS else 35) * DAY


def series_of(readings):
    """The sorted series: what is judged, wins, is possible, is no test data and has a time of day."""
    judged = [reading for reading in readings
              if reading.received_at - reading.measured_at <= look_back(reading.parameter)
              and not (reading.quarantined or reading.test or reading.day_only)]
    return sorted(winners(judged), key=lambda reading: (
        reading.measured_at, reading.device.encode(), reading.sensor.encode(), reading.value,
        COMPARATOR_ORDER[reading.comparator]))


def instants_of(series):
    """Readings of one key are one instant; a list of lists in series order."""
    instants = []
    for reading in series:
        if instants and instants[-1][0].key() == reading.key():
            instants[-1].append(reading)
        else:
            instants.append([reading])
    return instants


def sides_of(rule):
    """A rule with both sides is two rules."""
    if rule["kind"] == "limit":
        return [side for side, word in (("low", "below"), ("high", "above"))
                if any(word in level for level in rule["levels"])]
    if rule["kind"] == "change":
        return [side for side, words in (("low", ("fall", "fall_percent")), ("high", ("rise", "rise_percent")))
                if any(word in rule for word in words)]
    return [""]


# ---------------------------------------------------------------------------------------------- limit

def breaches_limit(reading, side, limit):
    """True, False, or None for neither a breach nor inside (Comparators)."""
    if reading.comparator == "":
        return reading.value < limit if side == "low" else reading.value > limit
    beyond = "<" if side == "low" else ">"
    if reading.comparator != beyond:
        return False
    if reading.parameter in GLUCOSE or reading.parameter in CONTINUOUS:
        return True
    reached = reading.value <= limit if side == "low" else reading.value >= limit
    return True if reached else None


def inside_limit(reading, side, limit, hysteresis):
    if reading.comparator == "":
        return reading.value >= limit + hysteresis if side == "low" else reading.value <= limit - hysteresis
    return breaches_limit(reading, side, limit) is False


def evaluate_limit(instants, timeline, side, clock, patient, rule_id):
    """3.1, one side."""
    episodes, active, previous = [], None, None
    runs = [[0, None] for _ in PRIORITIES]      # count, first time: consecutive readings with level(v) >= P
    clearing = [0 for _ in PRIORITIES]          # consecutive readings inside P
    ends = timeline.ends(clock)

    def end_before(moment):
        nonlocal active
        while ends and ends[0][0] <= moment:
            at, left = ends.pop(0)
            if active is not None:
                episodes[-1].cleared_at, episodes[-1].closed = at, left
            active = None
            for index in range(len(PRIORITIES)):
                runs[index], clearing[index] = [0, None], 0

    for instant in instants:
        t = instant[0].measured_at
        end_before(t)
        version = timeline.at(t)
        gap, previous = (None if previous is None else t - previous), t
        if version is None:
            continue
        rule = version.rule
        word = "below" if side == "low" else "above"
        levels = {PRIORITIES.index(level["priority"]): limit_of(rule, level[word])
                  for level in rule["levels"] if word in level}
        hysteresis = difference_of(rule, rule.get("hysteresis", 0))
        if gap is not None and "max_gap" in rule and gap > duration(rule["max_gap"]):
            for index in range(len(PRIORITIES)):
                runs[index], clearing[index] = [0, None], 0
        level = max((index for index, limit in levels.items()
                     if any(breaches_limit(reading, side, limit) for reading in instant)), default=-1)
        for index in range(len(PRIORITIES)):
            if level >= index:
                runs[index] = [runs[index][0] + 1, t if runs[index][0] == 0 else runs[index][1]]
            else:
                runs[index] = [0, None]
            inside = index not in levels or all(
                inside_limit(reading, side, levels[index], hysteresis) for reading in instant)
            clearing[index] = clearing[index] + 1 if inside else 0
        needed, lasting = rule.get("count", 1), duration(rule.get("for", "0s"))
        held = [index for index in levels if runs[index][0] >= needed and t - runs[index][1] >= lasting]
        highest = max(held, default=-1)
        if highest > (-1 if active is None else active):
            if active is None:
                episodes.append(Episode(rule_id, side, patient, t))
            episodes[-1].priorities.append((t, PRIORITIES[highest]))
            active = highest
        elif active is not None:
            staying = [index for index in range(active + 1) if clearing[index] < rule.get("clear_count", 1)]
            after = max(staying, default=-1)
            if after < 0:
                episodes[-1].cleared_at, active = t, None
            elif after < active:
                episodes[-1].priorities.append((t, PRIORITIES[after]))
                active = after
    end_before(clock)
    return episodes


# ---------------------------------------------------------------------------------------------- change

def number_of(instant):
    """The one value of an instant in windows: the first in series order, numbers before comparators."""
    numbers = [reading.value for reading in instant if reading.comparator == ""]
    return numbers[0] if numbers else None


def judge_change(rule, side, instants, times, index):
    """True, False, or None when not judged."""
    t = times[index]
    values = [reading.value for reading in instants[index] if reading.comparator == ""]
    start = bisect.bisect_left(times, t - duration(rule["within"]))
    end = bisect.bisect_left(times, t)
    window = [number for number in (number_of(instant) for instant in instants[start:end]) if number is not None]
    if not values or not window:
        return None
    old = min(window) if side == "high" else max(window)
    deltas = [value - old if side == "high" else old - value for value in values]
    plain, percent = ("rise", "rise_percent") if side == "high" else ("fall", "fall_percent")
    if plain in rule:
        limit = difference_of(rule, rule[plain])
        return any(delta > limit + 1 for delta in deltas)
    if old == 0:
        return None
    share = round_half_even(Fraction(str(rule[percent])) * 1000000)
    return any(delta > 0 and delta * 100 * 1000000 > share * abs(old) for delta in deltas)


def evaluate_change(instants, timeline, side, clock, patient, rule_id):
    """Breaches and non-breaches count on across versions. A priority above the open one is taken as soon as it is held;
    an open one that the version lacks and that is higher is left like one that every reading is inside of."""
    episodes, active, run, clearing, inside = [], -1, 0, 0, 0
    times = [instant[0].measured_at for instant in instants]
    ends = timeline.ends(clock)

    def end_before(moment):
        nonlocal active, run, clearing, inside
        while ends and ends[0][0] <= moment:
            at, left = ends.pop(0)
            if active >= 0:
                episodes[-1].cleared_at, episodes[-1].closed = at, left
            active, run, clearing, inside = -1, 0, 0, 0

    for index, t in enumerate(times):
        end_before(t)
        version = timeline.at(t)
        if version is None:
            continue
        rule = version.rule
        breach = judge_change(rule, side, instants, times, index)
        if breach is None:
            continue
        own, needed = PRIORITIES.index(rule["priority"]), rule.get("clear_count", 1)
        run, clearing = (run + 1, 0) if breach else (0, clearing + 1)
        inside = 0 if breach and active == own else inside + 1
        if breach and run >= rule.get("count", 1) and own > active:
            if active < 0:
                episodes.append(Episode(rule_id, side, patient, t))
            episodes[-1].priorities.append((t, rule["priority"]))
            active, inside = own, 0
        elif active >= 0 and clearing >= needed:
            active = -1
            episodes[-1].cleared_at = t
        elif active > own and inside >= needed:
            active, inside = own, clearing
            episodes[-1].priorities.append((t, rule["priority"]))
    end_before(clock)
    return episodes


# ---------------------------------------------------------------------------------------------- silence

class UpTime:
    """Time that counts: since the node's first turn, without Vigie's outages and the patient's suspensions."""

    def __init__(self, outages, suspensions):
        self.holes = []
        for start, end in sorted(list(outages) + list(suspensions)):
            if self.holes and start <= self.holes[-1][1]:
                self.holes[-1][1] = max(self.holes[-1][1], end)
            else:
                self.holes.append([start, end])

    def reach(self, start, amount):
        """The first instant at which `amount` of up time has passed since `start`."""
        now = start
        for hole_start, hole_end in self.holes:
            if hole_end <= now:
                continue
            if hole_start - now >= amount and hole_start > now:
                return now + amount
            amount -= max(0, hole_start - now)
            now = hole_end
        return now + amount


@functools.lru_cache(None)
def day_start_of(day, day_start, zone):
    """The earliest instant whose local date and time are at or after `day` at `day_start`."""
    hours, minutes = (int(part) for part in day_start.split(":"))
    wanted = datetime.datetime(day.year, day.month, day.day, hours, minutes)
    low = int(wanted.replace(tzinfo=datetime.timezone.utc).timestamp()) * 1000 - 26 * HOUR
    local = lambda ms: datetime.datetime.fromtimestamp(ms / 1000, zone).replace(tzinfo=None)  # noqa: E731
    return next(ms for ms in range(low, low + 60 * HOUR, 60000) if local(ms) >= wanted)


def counting_receptions(patient, timeline, parameters, readings, activation):
    """Receptions that are a sign of life, in order; and all first receptions, which fill days."""
    seen, counting, filling, last_seen = set(), [], [], activation
    requests = {}
    for reading in readings:
        if reading.patient == patient.ref and reading.parameter in parameters:
            requests.setdefault((reading.received_at, reading.request), []).append(reading)
    for (received_at, _), together in sorted(requests.items()):
        before, counted, version = last_seen, False, timeline.at(received_at)
        one_day_test = version is not None and "max_gap" in version.rule
        for reading in together:
            if reading.quarantined or reading.test or reading.status == "void" or reading.key() in seen:
                continue
            seen.add(reading.key())
            filling.append(reading)
            if not one_day_test or reading.measured_at > before - DAY:
                counted = True
        if counted:
            counting.append(received_at)
            last_seen = max(last_seen, received_at)
    return counting, filling


def missed_day_raises(timeline, begins, patient, activation, clock, up, counting, filling, suspensions):
    """Instants at which the k-th consecutive day without a reading closes: a day is judged by the version in force
    when it begins; a new version for which the days already closed are enough raises when it begins."""
    first = timeline.at(begins[0]).rule
    zone, day_start = zoneinfo.ZoneInfo(patient.zone), first.get("day_start", "00:00")
    day = datetime.datetime.fromtimestamp(activation / 1000, zone).date() - datetime.timedelta(days=1)
    closed, due = [], []                # (closing, start, end)

    def missed_by(moment, days):
        run = 0
        for _, start, last in reversed(days):
            if any(start <= reading.measured_at < last and reading.received_at <= moment for reading in filling):
                break
            run += 1
        return run

    def is_due(moment, end, days, rule):
        return ("missed_days" in rule and missed_by(moment, days) >= rule["missed_days"]
                and not any(end <= at <= moment for at in counting))

    while True:
        start = day_start_of(day, day_start, zone)
        day += datetime.timedelta(days=1)
        end = day_start_of(day, day_start, zone)
        if end > clock:
            break
        if start < activation:
            continue
        version = timeline.at(start)
        closing = up.reach(end, duration(version.rule.get("grace", "6h")))
        touched = any(begin < end and until > start for begin, until in suspensions)
        if not touched:
            closed.append((closing, start, end))
        if not touched and closing <= clock and is_due(closing, end, closed, version.rule):
            due.append(closing)
    for begin in begins[1:]:
        before = [item for item in closed if item[0] < begin]
        if begin <= clock and before and is_due(begin, before[-1][2], before, timeline.at(begin).rule):
            due.append(begin)
    return sorted(due)


def evaluate_silence(readings, timeline, patient, clock, outages, rule_id):
    """Section 4. Versions may change max_gap, missed_days and priority."""
    # a version of a layer that another one stands before begins nothing for this patient
    begins = [moment for moment in timeline.changes()
              if timeline.at(moment) is not None and timeline.at(moment) is not timeline.at(moment - 1)]
    if not begins:
        return []
    activation = max(begins[0], patient.enrolled_at)
    end = min(clock, patient.left_at if patient.left_at is not None else clock)
    rule = timeline.at(begins[0]).rule
    suspensions = [(start, until) for name, start, until in patient.suspensions if name == rule_id]
    up = UpTime(outages, suspensions)
    counting, filling = counting_receptions(patient, timeline, rule["parameters"], readings, activation)
    spans = [(start, stop) for start, stop in zip(begins, begins[1:] + [FOREVER])]
    missed = [(at, timeline.at(at).rule["priority"]) for at in missed_day_raises(
        timeline, begins, patient, activation, end, up, counting, filling, suspensions)
        if timeline.at(at) is not None]

    def next_gap(last_seen):
        """When max_gap is reached after last_seen, by the version in force then."""
        for start, stop in spans:
            version = timeline.at(start).rule
            if "max_gap" in version:
                at = max(up.reach(last_seen, duration(version["max_gap"])), start)
                if at < stop:
                    return [(at, version["priority"])]
        return []

    episodes, last_seen = [], activation
    for received in sorted(counting) + [None]:
        until = end if received is None else received
        due = [item for item in next_gap(last_seen) + missed if last_seen <= item[0] <= until
               and (received is None or item[0] < received)]
        if due and (not episodes or episodes[-1].cleared_at is not None):
            at, priority = min(due)
            episodes.append(Episode(rule_id, "", patient.ref, at, None, [(at, priority)]))
        if received is not None:
            if episodes and episodes[-1].cleared_at is None:
                episodes[-1].cleared_at = received
            last_seen = received
    if episodes and episodes[-1].cleared_at is None and patient.left_at is not None and patient.left_at <= clock:
        episodes[-1].cleared_at, episodes[-1].closed = patient.left_at, True
    return episodes


# ---------------------------------------------------------------------------------------------- the whole

def evaluate(patient, readings, versions, clock, outages=()):
    """All episodes of one patient. `versions`: rule versions of all layers that concern the patient; what the other
    kinds say is not evaluated here and is refused loudly."""
    episodes = []
    by_rule = {}
    for version in versions:
        by_rule.setdefault(version.rule["id"], []).append(version)
    own = [reading for reading in readings if reading.patient == patient.ref]
    for rule_id, of_rule in sorted(by_rule.items()):
        timeline = Timeline(patient, of_rule)
        full = [version.rule for version in of_rule if "kind" in version.rule]
        if not full:
            continue
        if full[0]["kind"] == "silence":
            episodes += evaluate_silence(own, timeline, patient, clock, outages, rule_id)
            continue
        walk = {"limit": evaluate_limit, "change": evaluate_change}[full[0]["kind"]]
        instants = instants_of(series_of([r for r in own if r.parameter == full[0]["parameter"]]))
        for side in sides_of(full[0]):
            episodes += walk(instants, timeline, side, clock, patient.ref, rule_id)
    return sorted(episodes, key=lambda episode: episode.as_tuple()[:4])
