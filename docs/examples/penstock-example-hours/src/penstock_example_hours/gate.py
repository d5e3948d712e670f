"""The gate: when it is open, how long until then, and its settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from attrs import field, frozen, validators
from penstock import Demand, Gate, Outcome, Permit
from penstock.schema import GateSnapshot

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

ASK_AGAIN_S = 600.0
"""The longest delay: a clock that is set, or a machine that slept, is noticed within ten minutes."""


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # an unknown zone, a folder of zones, a path
        raise ValueError(f"tz is {name!r}, and no time zone has that name") from error


@frozen(kw_only=True)
class HoursSettings:
    """The options of the gate `hours`.

    Attributes:
        opens: when it opens, such as "22:00".
        closes: when it closes; earlier than `opens` means on the day after.
        days: the days on which it opens, such as ["mon", "tue"]; all if not given.
        tz: the time zone of all these.
        name: how the gate appears in records.
        match: the "provider/model" names that it stands before, with `*`.
        operation: the operations that it stands before, with `*`.
    """

    opens: str
    closes: str
    days: tuple[str, ...] = field(
        default=DAYS,
        validator=[validators.min_len(1), validators.deep_iterable(validators.in_(DAYS))],
    )
    tz: str = "UTC"
    name: str = "hours"
    match: str = "*"
    operation: str = "*"


def _now() -> datetime:
    return datetime.now(UTC)


class HoursGate(Gate):
    """Lets calls through within certain hours of the day. Calls under way when it closes are finished.

    A window that spans midnight belongs to the day on which it opens. On the days when clocks change, a window is as
    long as the wall clock makes it.
    """

    def __init__(self, settings: HoursSettings, *, _utc: Callable[[], datetime] = _now) -> None:
        """Take the settings; `_utc` tells the wall clock's time, which gates are not told.

        Raises ValueError for an hour or a zone that is none, and for a window of no length.
        """
        self.name, self.match, self.operation = settings.name, settings.match, settings.operation
        self.opens, self.closes = time.fromisoformat(settings.opens), time.fromisoformat(settings.closes)
        if self.opens == self.closes:
            raise ValueError(f"opens and closes are both {settings.opens}, which leaves no hour")
        self.days = frozenset(DAYS.index(day) for day in settings.days)
        self.zone = _zone(settings.tz)
        self.under_way = 0
        self._utc = _utc

    def delay(self, demand: Demand, now: float) -> float:
        """Return 0 while it is open, else the seconds until it opens, ten minutes at most: then it is asked again."""
        wall = self._utc()
        today = wall.astimezone(self.zone).date()
        windows = [self._window(today + timedelta(days=ahead)) for ahead in range(-1, 9)]
        opening = min(begin for begin, end in filter(None, windows) if end > wall)
        return min(max(0.0, (opening - wall).total_seconds()), ASK_AGAIN_S)

    def _window(self, day: date) -> tuple[datetime, datetime] | None:
        """Return when the window that opens on `day` begins and ends, in UTC; None if none opens."""
        if day.weekday() not in self.days:
            return None
        last = day if self.opens < self.closes else day + timedelta(days=1)
        begin = datetime.combine(day, self.opens, self.zone)
        end = datetime.combine(last, self.closes, self.zone)
        return begin.astimezone(UTC), end.astimezone(UTC)

    def take(self, demand: Demand, now: float) -> Permit:
        """Count a call."""
        self.under_way += 1
        return _Passed(self)

    def snapshot(self, now: float) -> GateSnapshot:
        """Return how many calls are under way."""
        return GateSnapshot(name=self.name, match=self.match, used=self.under_way)


class _Passed(Permit):
    """A call that was let through."""

    __slots__ = ("_gate",)

    def __init__(self, gate: HoursGate) -> None:
        self._gate = gate

    def settle(self, outcome: Outcome, now: float) -> None:
        """Count the call off."""
        self._gate.under_way -= 1
