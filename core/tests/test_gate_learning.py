"""What a paced gate learns from refusals and from answers, and how it takes back what was learned wrongly."""

import pytest

from penstock import Demand, ErrorType, Outcome, RpmGate, TpmGate
from penstock.contracts import NEVER
from penstock.schema import LimitReading

PLENTY = 1e-6


class Server:
    """What a gate sees of a server: it sends when it may, and is answered at once."""

    def __init__(self, gate, amount=1):
        self.gate, self.now = gate, 1000.0
        self.demand = Demand() if isinstance(gate, RpmGate) else Demand(input_tokens=amount)

    def send(self):
        """Wait for leave and return the permit."""
        while (delay := self.gate.delay(self.demand, self.now)) > 0:
            self.now += max(delay, PLENTY)
        return self.gate.take(self.demand, self.now)

    def answer(self, permit, *, remaining=None, reset_s=None, **outcome):
        dimension, limit = self.gate.dimension, self.gate.limit
        reading = LimitReading(dimension=dimension, limit=limit, remaining=remaining, reset_s=reset_s)
        limits = () if remaining is None else (reading,)
        permit.settle(Outcome(used=self.demand, limits=limits, **outcome), self.now)

    def refuse(self, permit, hint, **reading):
        self.answer(permit, error_type=ErrorType.HTTP_429, retry_after_s=hint, **reading)

    def proven(self):
        """Have five answers describe a bucket of the whole limit."""
        for _ in range(5):
            self.answer(self.send(), remaining=self.gate.limit - 1, reset_s=60 / self.gate.limit)
        return self

    def rest(self, seconds=60.0):
        self.now += seconds

    def at_once(self):
        """Send as many as pass within a second of each other; return their permits."""
        began, permits = self.now, []
        while self.gate.delay(self.demand, self.now) == 0.0:
            permits.append(self.gate.take(self.demand, self.now))
        assert self.now == began
        return permits

    @property
    def pace(self):
        return self.gate.snapshot(self.now).pace


def test_at_a_low_rate_the_first_refusal_by_jitter_teaches_a_distance_that_jitter_cannot_undo():
    server = Server(RpmGate(60))
    server.refuse(server.send(), hint=0.2)
    assert server.pace == pytest.approx(1 / 1.2)  # a second between requests, and 0.2 s for jitter
    server.rest()
    server.send()
    first = server.now
    server.send()
    assert server.now - first >= 1.2


def test_at_a_high_rate_it_costs_a_little_of_the_pace_because_jitter_bunches_several():
    server = Server(RpmGate(600))
    server.refuse(server.send(), hint=0.2)
    assert server.pace == 0.985


@pytest.mark.parametrize(("hint", "shares"), [(6.0, True), (None, True), (0.2, False)])
def test_large_amounts_keep_to_a_sixth_of_the_window_after_a_refusal_that_was_none_of_jitters(hint, shares):
    server = Server(TpmGate(60_000), amount=4000)
    server.refuse(server.send(), hint)
    server.rest()
    times = []
    for _ in range(12):
        server.answer(server.send())
        times.append(server.now)
    three_in_ten_seconds = any(later - earlier < 10.0 for earlier, later in zip(times, times[2:], strict=False))
    assert three_in_ten_seconds is not shares


def test_after_a_refusal_that_says_nothing_one_goes_ahead_and_the_others_wait_for_its_answer():
    server, woken = Server(RpmGate(600)), []
    server.gate.watch(lambda: woken.append(server.now))
    server.refuse(server.send(), hint=None)
    scout = server.send()
    server.rest(1.0)
    assert server.gate.delay(server.demand, server.now) == NEVER
    server.refuse(scout, hint=None)
    assert 2.0 <= server.gate.delay(server.demand, server.now) <= 2.2  # frozen again, twice as long
    scout = server.send()
    server.rest(1.0)
    woken.clear()
    server.answer(scout)
    assert woken == [server.now]
    assert server.gate.delay(server.demand, server.now) == 0.0


def test_a_scout_that_is_cancelled_makes_room_for_the_next():
    server = Server(RpmGate(600))
    server.refuse(server.send(), hint=None)
    server.send().settle(Outcome(sent=False), server.now)
    server.rest(1.0)
    assert server.gate.delay(server.demand, server.now) == 0.0


def test_five_answers_prove_a_bucket_also_where_what_remains_is_rounded_down():
    server = Server(RpmGate(60))
    for reset_s in (1.0, 1.1, 1.9, 1.0, 1.5):
        server.answer(server.send(), remaining=58 if reset_s > 1 else 59, reset_s=reset_s)
    first = server.now
    server.send()
    assert server.now - first < 1.02  # the whole rate, and not 2 % less


def test_an_answer_near_the_end_of_a_limit_proves_nothing_for_windows_say_the_same():
    server = Server(RpmGate(600))
    for _ in range(20):
        server.answer(server.send(), remaining=5, reset_s=60.0)
    permits = server.at_once()
    server.rest(120)
    assert len(permits) <= len(server.at_once()) <= 8  # the logs count, and no burst was learned


def test_a_burst_that_was_answered_may_be_twice_as_large_next_time_up_to_the_limit():
    server = Server(RpmGate(600)).proven()
    sizes = []
    for _ in range(10):
        server.rest()
        permits = server.at_once()
        sizes.append(len(permits))
        for number, permit in enumerate(permits, 1):
            server.answer(permit, remaining=600 - number, reset_s=number / 10)
    assert sizes[:4] == [7, 15, 30, 60]
    assert sizes[-1] == pytest.approx(600, rel=0.01)


def test_a_refusal_although_there_should_be_plenty_ends_the_belief_and_the_burst_for_a_long_time():
    server = Server(RpmGate(600)).proven()
    for _ in range(3):
        server.rest()
        for permit in server.at_once():
            server.answer(permit, remaining=590, reset_s=1.0)
    server.rest()
    permits = server.at_once()
    assert len(permits) == 60
    for number, permit in enumerate(permits):
        if number < 10:  # a server that counts by the second and reports the minute
            server.answer(permit, remaining=590, reset_s=1.0)
        else:
            server.refuse(permit, hint=1.0, remaining=590, reset_s=1.0)
    assert server.gate.snapshot(server.now).refused == 50
    assert server.pace == 1.0  # the bucket was wrong, not the rate
    server.proven()
    server.rest()
    assert len(server.at_once()) == 7


def test_a_burst_of_the_users_choice_is_not_changed():
    server = Server(RpmGate(600, burst=20)).proven()
    for _ in range(3):
        server.rest()
        permits = server.at_once()
        assert len(permits) == 20
        for permit in permits:
            server.answer(permit, remaining=580, reset_s=2.0)


def test_a_steady_stream_is_no_burst():
    server = Server(RpmGate(600)).proven()
    for _ in range(2000):
        server.answer(server.send(), remaining=599, reset_s=0.1)
    server.rest()
    assert len(server.at_once()) == 15  # for the first seven, which were one, and no more for the rest
