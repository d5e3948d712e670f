"""Whose turn it is: order, shares, and what they cost."""

import math
import time
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from penstock.turns import Turns

PRIORITIES = st.sampled_from([0.1, 0.5, 1.0, 2.0, 3.0, 10.0])
STEPS = st.lists(st.tuples(PRIORITIES, st.booleans(), st.integers(0, 3)), max_size=200)


def fill(*lots):
    """Return turns with `count` items of each priority, as (priority, number)."""
    turns = Turns()
    for priority, count in lots:
        for number in range(count):
            turns.push((priority, number), priority=priority)
    return turns


def test_within_a_priority_first_come_is_first_served():
    turns = fill((3.0, 1000))
    assert [turns.pop()[1] for _ in range(1000)] == list(range(1000))


def test_priorities_share_the_turns_by_their_weights_at_any_time():
    turns = fill((1.0, 1000), (3.0, 1000), (6.0, 1000))
    seen = Counter()
    for turn in range(1, 1001):
        seen[turns.pop()[0]] += 1
        for priority in (1.0, 3.0, 6.0):
            assert abs(seen[priority] - turn * priority / 10) <= 2


def test_the_least_priority_gets_its_turns_while_others_keep_coming():
    turns = Turns()
    turns.push("low", priority=0.1)
    for number in range(1000):
        turns.push(number, priority=10.0)
        if turns.pop() == "low":
            break
    assert number <= 100


def test_one_that_comes_late_does_not_make_up_for_the_time_it_was_away():
    turns = fill((1.0, 1000))
    for _ in range(500):
        turns.pop()
    for number in range(500):
        turns.push((2.0, number), priority=2.0)
    assert Counter(turns.pop()[0] for _ in range(30)) == {1.0: 10, 2.0: 20}


def test_a_refused_one_goes_before_everyone_else_and_behind_those_refused_before():
    turns = fill((10.0, 3))
    turns.push("first", first=True)
    turns.push("second", priority=0.001, first=True)
    assert [turns.pop() for _ in range(3)] == ["first", "second", (10.0, 0)]


def test_an_empty_queue_has_forgotten_the_shares():
    turns = fill((1.0, 5))
    while turns:
        turns.pop()
    turns.push("heavy", priority=1.0)
    turns.push("light", priority=2.0)
    assert turns.pop() == "light"


class Model:
    """The same queue by the book: every item keeps its finishing time, and the smallest is looked for."""

    def __init__(self):
        self.items, self.now, self.last, self.count = [], 0.0, {}, 0

    def push(self, item, priority, first):
        finish = -math.inf
        if not first:
            finish = self.last[priority] = max(self.now, self.last.get(priority, 0.0)) + 1.0 / priority
        self.items.append((finish, self.count, item))
        self.count += 1

    def pop(self):
        least = min(self.items)
        self.items.remove(least)
        self.now = max(self.now, least[0])
        if not self.items:
            self.now, self.last = 0.0, {}
        return least[2]


@given(STEPS)
def test_turns_are_those_of_the_simple_model_and_everyone_gets_one(steps):
    turns, model, out = Turns(), Model(), []
    for number, (priority, first, pops) in enumerate(steps):
        turns.push(number, priority=priority, first=first)
        model.push(number, priority, first)
        for _ in range(pops):
            assert bool(turns) == bool(model.items)
            if turns:
                head = turns.head()
                out.append(turns.pop())
                assert head == out[-1] == model.pop()
    while turns:
        out.append(turns.pop())
    assert sorted(out) == list(range(len(steps)))


@given(STEPS)
def test_order_within_a_priority_is_kept_whatever_happens(steps):
    turns, out = Turns(), []
    for number, (priority, _, pops) in enumerate(steps):
        turns.push((priority, number), priority=priority)
        out += [turns.pop() for _ in range(min(pops, 1))]
    while turns:
        out.append(turns.pop())
    for priority in {priority for priority, _ in out}:
        numbers = [number for mine, number in out if mine == priority]
        assert numbers == sorted(numbers)


def test_a_turn_takes_about_as_long_among_a_hundred_thousand_as_among_a_thousand():
    def seconds_a_turn(count):
        turns = fill(*((float(priority), count // 10) for priority in range(1, 11)))
        began = time.process_time()
        for number in range(1000):
            turns.pop()
            turns.push(number)
        return (time.process_time() - began) / 1000

    small = min(seconds_a_turn(1000) for _ in range(3))
    large = min(seconds_a_turn(100_000) for _ in range(3))
    assert large < 20 * small  # O(n) would be a hundred times
