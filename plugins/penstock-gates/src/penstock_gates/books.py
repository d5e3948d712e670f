"""Books of what was let through and still counts: in this run, in the last 24 hours, or since midnight somewhere.

Amounts are integers, so that sums are exact: requests, tokens, or trillionths of a dollar.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import define

from penstock.contracts import NEVER

__all__ = ["Books", "MidnightBooks", "Page", "RollingBooks", "RunBooks", "Wall", "books_of_a_day", "utc_now"]

Wall = Callable[[], datetime]
"""Tells the date: the wall clock's time, timezone-aware."""

DAY = timedelta(days=1)
DAY_S = 86_400.0

SLICE_S = DAY_S / 1000
"""What is let through within so many seconds shares a page of the rolling books, and counts as late as the latest of
it: a thousand pages at most, exact to the safe side, at a cost of 0.1 % of the limit."""

MARGIN_S = 1.0
"""The rolling day is so much longer than 24 hours, for what the way to the server may vary."""

LOOK_AGAIN_S = 600.0
"""The longest wait for midnight before the wall clock is asked again: it may have been set, or the machine asleep."""


def utc_now() -> datetime:
    """Return the wall clock's time."""
    return datetime.now(UTC)


@define(eq=False)
class Page:
    """What was let through in one stretch of time, forgotten all at once. `since` and `at` are its first and last."""

    since: float
    at: float
    settled: int = 0
    reserved: int = 0
    counts: bool = True

    @property
    def used(self) -> int:
        """Settled and reserved together."""
        return self.settled + self.reserved


class Books(ABC):
    """Sums of all pages that count.

    Attributes:
        settled: what calls that are over have used.
        reserved: what calls under way may use.
    """

    def __init__(self) -> None:
        self.settled = 0
        self.reserved = 0

    @property
    def used(self) -> int:
        """Settled and reserved together."""
        return self.settled + self.reserved

    def delay(self, amount: int, limit: int, now: float) -> float:
        """Return the seconds until time alone makes room for `amount`; NEVER when time never does."""
        excess = self.used + amount - limit
        return 0.0 if excess <= 0 else self.wait(excess, now)

    def reserve(self, amount: int, now: float) -> Page:
        """Enter `amount`, and return the page that it stands on."""
        page = self.page(now)
        page.reserved += amount
        self.reserved += amount
        return page

    def settle(self, page: Page, reserved: int, used: int) -> None:
        """Replace what was reserved on `page` by what was used, also on a page that no longer counts."""
        page.reserved -= reserved
        page.settled += used
        if page.counts:
            self.reserved -= reserved
            self.settled += used

    def _forget(self, page: Page) -> None:
        page.counts = False
        self.reserved -= page.reserved
        self.settled -= page.settled

    @abstractmethod
    def turn(self, now: float) -> None:
        """Forget the pages that no longer count. Called before anything else is asked."""

    @abstractmethod
    def page(self, now: float) -> Page:
        """Return the page of this moment."""

    @abstractmethod
    def wait(self, excess: int, now: float) -> float:
        """Return the seconds until at least `excess` of what is used is forgotten."""

    @abstractmethod
    def spacing(self, limit: int, now: float) -> float:
        """Return the seconds that each unit takes when what is left of `limit` is to last as long as it must."""


class RunBooks(Books):
    """Forgets nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._page = Page(0.0, 0.0)

    def turn(self, now: float) -> None:
        """Do nothing."""

    def page(self, now: float) -> Page:  # noqa: ARG002  # there is one for all time
        """Return the only page."""
        return self._page

    def wait(self, excess: int, now: float) -> float:  # noqa: ARG002  # the contract's
        """Return NEVER."""
        return NEVER

    def spacing(self, limit: int, now: float) -> float:  # noqa: ARG002  # nobody knows how long a run is
        """Return 0."""
        return 0.0


class RollingBooks(Books):
    """The last 24 hours, on at most a thousand pages and one."""

    def __init__(self) -> None:
        super().__init__()
        self._pages: deque[Page] = deque()

    def turn(self, now: float) -> None:
        """Forget pages whose last entry is a day old."""
        while self._pages and self._pages[0].at <= now - DAY_S - MARGIN_S:
            self._forget(self._pages.popleft())

    def page(self, now: float) -> Page:
        """Return the latest page, or a new one when that is full."""
        if not self._pages or now - self._pages[-1].since >= SLICE_S:
            self._pages.append(Page(now, now))
        self._pages[-1].at = now
        return self._pages[-1]

    def wait(self, excess: int, now: float) -> float:
        """Return the seconds until the oldest pages that hold `excess` are a day old."""
        for page in self._pages:
            excess -= page.used
            if excess <= 0:
                return page.at + DAY_S + MARGIN_S - now
        return NEVER

    def spacing(self, limit: int, now: float) -> float:  # noqa: ARG002  # every moment is the start of a day
        """Return an even share of the day."""
        return DAY_S / limit


class MidnightBooks(Books):
    """From one midnight of a time zone to the next, whatever the length of that day.

    The wall clock is asked at every call and never remembered as an offset from the monotonic one, so that days of 23
    and 25 hours, a clock that is set, and a machine that slept are all as they should be. A clock that is set back
    across midnight does not open the same day twice; one that is set back by more than a day starts afresh.

    Raises ValueError for an unknown time zone.
    """

    def __init__(self, tz: str, wall: Wall) -> None:
        super().__init__()
        try:
            self._zone = ZoneInfo(tz)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(
                f"tz must be an IANA time zone such as 'America/Los_Angeles', got {tz!r}; "
                "where the system has no time zones, install tzdata"
            ) from error
        self._wall = wall
        self._open(0.0, wall())

    def turn(self, now: float) -> None:
        """Start a new page when midnight has passed."""
        at = self._wall()
        if not self._began - DAY <= at < self._ends:
            self._forget(self._page)
            self._open(now, at)

    def page(self, now: float) -> Page:  # noqa: ARG002  # there is one a day
        """Return today's page."""
        return self._page

    def wait(self, excess: int, now: float) -> float:  # noqa: ARG002  # everything is forgotten at once
        """Return the seconds until midnight, or until the clock should be asked again."""
        return min(self._rest(), LOOK_AGAIN_S)

    def spacing(self, limit: int, now: float) -> float:  # noqa: ARG002  # the wall clock's business
        """Return an even share of what is left of the day, for what is left of the limit."""
        return self._rest() / max(1, limit - self.used)

    def _rest(self) -> float:
        return max(0.0, (self._ends - self._wall()).total_seconds())

    def _open(self, now: float, at: datetime) -> None:
        today = at.astimezone(self._zone).date()
        # Compared in UTC: within one zone, datetime counts as if the clocks were never changed.
        self._began, self._ends = (
            datetime.combine(day, time(), self._zone).astimezone(UTC) for day in (today, today + DAY)
        )
        self._page = Page(now, now)


def books_of_a_day(reset: str, tz: str, wall: Wall) -> Books:
    """Return the books for a day that is "rolling", or that ends at "midnight" in `tz`."""
    return RollingBooks() if reset == "rolling" else MidnightBooks(tz, wall)
