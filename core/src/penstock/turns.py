"""Whose turn it is: first come, first served within a priority, and fair shares between priorities."""

from __future__ import annotations

import math
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

__all__ = ["Turns"]

T = TypeVar("T")


class Turns(Generic[T]):
    """A queue in which a priority of 3 gets three turns for each turn of a priority of 1, and nobody starves.

    Self-clocked fair queueing (Golestani, 1994): each item is given the virtual time at which its turn would be over
    if every priority were served at once in proportion to its weight, and the smallest goes first. With one priority
    that is the order of arrival. Every operation takes O(log n).
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._numbers = count()
        self._now = 0.0
        self._last: dict[float, float] = {}

    def __bool__(self) -> bool:
        return bool(self._heap)

    def push(self, item: T, *, priority: float = 1.0, first: bool = False) -> None:
        """Add `item`; `first` puts it before everything that is not itself first."""
        if first:
            finish = -math.inf
        else:
            finish = self._last[priority] = max(self._now, self._last.get(priority, 0.0)) + 1.0 / priority
        heappush(self._heap, (finish, next(self._numbers), item))

    def head(self) -> T:
        """Return the item whose turn it is."""
        return self._heap[0][2]

    def pop(self) -> T:
        """Remove the item whose turn it is, and return it."""
        finish, _, item = heappop(self._heap)
        self._now = max(self._now, finish)
        if not self._heap:
            self._now, self._last = 0.0, {}
        return item
