"""The gate lab: what it reports of gates whose behaviour is known."""

import math
from functools import partial

import anyio
import pytest
from attrs import evolve

from penstock import ConcurrencyGate, Demand, ErrorType, Gate, GateRefusedError, Outcome, Permit, RpmGate, TpmGate
from penstock_sim.lab import LabConfig, Sizes, run_lab
from penstock_sim.lab.config import CHARGING
from penstock_sim.lab.ideal import ideal_of
from penstock_sim.lab.report import percentile
from penstock_sim.lab.server import Ledger
from penstock_sim.limiters import SERVER_MODELS


def rpm_gates(limit=600, **options):
    return [RpmGate(limit, **options)]


def experiment(**settings):
    return LabConfig(**{"gates": rpm_gates, "rpm": 600, "minutes": 3, **settings})


def figures(report):
    """Everything but the real time it took."""
    return report.replace(wall_s=0.0).to_dict()


def to_four_digits(figure):
    """Figures without the last digits of their fractions."""
    if isinstance(figure, dict):
        return {name: to_four_digits(each) for name, each in figure.items()}
    if isinstance(figure, list):
        return [to_four_digits(each) for each in figure]
    return float(f"{figure:.4g}") if isinstance(figure, float) else figure


class FreePermit(Permit):
    def settle(self, outcome: Outcome, now: float) -> None:
        pass


class DeafGate(Gate):
    """A bucket that learns nothing; by default what most clients have: a whole minute's worth at once."""

    name = "deaf"

    def __init__(self, limit: float, *, burst: float | None = None) -> None:
        self.limit = limit
        self.burst = self.level = limit if burst is None else burst
        self.at = -math.inf

    def delay(self, demand: Demand, now: float) -> float:
        self.level = min(self.burst, self.level + (now - self.at) * self.limit / 60)
        self.at = now
        return max(0.0, (1 - self.level) / (self.limit / 60))

    def take(self, demand: Demand, now: float) -> Permit:
        self.level -= 1
        return FreePermit()


class ClosedGate(Gate):
    def delay(self, demand: Demand, now: float) -> float:
        raise GateRefusedError("closed for the day")

    def take(self, demand: Demand, now: float) -> Permit:
        raise AssertionError("nothing passes")


@pytest.mark.parametrize("server", SERVER_MODELS)
def test_the_rpm_gate_uses_nearly_all_of_600_a_minute_and_is_hardly_ever_refused(server):
    report = run_lab(experiment(server=server))
    # Only hard windows of ten seconds refuse a handful: what jitter carries over their edge.
    assert (90 if server == "tenths" else 97) < report.bound.percent <= 105
    assert report.refused_per_thousand < (10 if server == "tenths" else 0.001)
    assert report.bound.most_percent <= 105


def test_a_gate_that_opens_with_a_whole_minute_is_refused_by_a_server_that_counts_seconds():
    report = run_lab(experiment(server="second", gates=lambda: [DeafGate(600)]))
    assert report.refused_first > 100
    assert report.dimensions[0].refused == report.refused > 0
    assert report.sent == pytest.approx(report.answered + report.refused, abs=30)


def test_a_server_with_a_full_bucket_admits_nearly_two_minutes_worth_in_the_first():
    report = run_lab(experiment(server="full", gates=lambda: [DeafGate(600)]))
    assert report.refused_per_thousand < 5
    assert report.bound.percent_first > 190
    assert report.bound.most_percent > 190
    assert report.bound.percent_steady == pytest.approx(100, abs=1)
    assert report.bound.percent == pytest.approx((report.bound.percent_first + 2 * report.bound.percent_steady) / 3)


def test_half_a_gate_uses_half_of_the_limit():
    report = run_lab(experiment(gates=lambda: [RpmGate(300)]))
    assert report.bound.percent == pytest.approx(50, abs=1)
    (gate,) = report.gates
    assert (gate.name, gate.limit) == ("rpm", 300)
    assert gate.blocked_percent > 99
    assert 1 < gate.wait_p50_s <= gate.wait_p99_s < 6


def test_no_gate_at_all_floods_the_server():
    report = run_lab(experiment(server="sliding", gates=list, minutes=1, most_tasks=2000))
    assert report.gates == ()
    assert report.refused > 1000
    assert report.bound.percent == pytest.approx(100, abs=0.1)
    assert report.most_in_flight <= 2000


@pytest.mark.parametrize("charging", CHARGING)
def test_the_token_gate_uses_the_tokens_that_the_server_counts(charging):
    report = run_lab(
        experiment(
            rpm=None,
            tpm=600_000,
            charging=charging,
            gates=lambda: [TpmGate(600_000)],
            sizes=Sizes((500, 1500), (3.0, 1.0)),
        )
    )
    assert report.binding == "tokens"
    assert report.refused == 0
    assert 80 < report.bound.percent <= 100.5
    assert report.bound.percent_ideal == pytest.approx(133, abs=2), "a bucket that is full at the start"


def test_the_limit_that_is_used_most_is_named():
    report = run_lab(experiment(tpm=10_000_000, gates=rpm_gates))
    assert [each.dimension for each in report.dimensions] == ["requests", "tokens"]
    assert report.binding == "requests"
    assert report.dimensions[1].percent == pytest.approx(6, abs=0.1)


def test_large_requests_leave_room_unused_in_a_sliding_minute():
    config = experiment(rpm=None, tpm=60_000, server="sliding", sizes=Sizes((16_000,)), gates=list)
    ideal = ideal_of(config)
    assert ideal.dimension == "tokens"
    assert ideal.percent == pytest.approx(80)


@pytest.mark.parametrize(
    ("server", "rpm", "safe"),
    [
        ("full", 60, 100),
        ("second", 60, 100 / 1.18),  # one at a time, and the next a second and all jitter later
        ("second", 600, 100),
        ("sliding", 600, 100 * 60 / 60.18),
        ("tenths", 600, 100 * 10 / 10.18),
    ],
)
def test_what_jitter_leaves_to_chance_is_not_safe(server, rpm, safe):
    ideal = ideal_of(experiment(server=server, rpm=rpm))
    assert ideal.percent_steady == pytest.approx(100)
    assert ideal.percent_safe == pytest.approx(safe)
    assert ideal_of(experiment(server=server, rpm=rpm, jitter_s=(1, 1))).percent_safe == pytest.approx(100)


def test_small_requests_need_less_distance_than_large_ones_at_a_small_bucket():
    safe = {
        tokens: ideal_of(experiment(rpm=None, tpm=60_000, server="second", sizes=Sizes((tokens,)))).percent_safe
        for tokens in (100, 1000, 8000)
    }
    assert safe == {100: pytest.approx(100), 1000: pytest.approx(84.7, abs=0.1), 8000: pytest.approx(97.8, abs=0.2)}


def test_a_request_larger_than_the_budget_comes_after_a_quarter_of_the_run():
    config = experiment(
        rpm=None, tpm=60_000, minutes=8, sizes=Sizes.parse("oversized"), gates=lambda: [TpmGate(60_000)]
    )
    report = run_lab(config)
    assert report.refused == 0
    assert report.bound.most_percent >= 150


def test_a_change_of_the_limit_shows_minute_by_minute():
    paced = partial(experiment, gates=lambda: [DeafGate(600, burst=1)], server="sliding")
    halved = run_lab(paced(change=(0.5, 2), minutes=4))
    assert halved.bound.percent_by_minute == pytest.approx([100, 100, 100, 100], abs=1)
    assert halved.refused_by_minute[:2] == pytest.approx((0, 0), abs=2)
    assert min(halved.refused_by_minute[2:]) > 250
    doubled = run_lab(paced(change=(2, 1), minutes=3))
    assert doubled.bound.percent_by_minute == pytest.approx([100, 50, 50], abs=1)


def test_two_clients_share_the_limits_of_one_server():
    deaf = run_lab(experiment(clients=2, server="sliding", gates=lambda: [DeafGate(600, burst=1)]))
    assert len(deaf.sent_by_client) == 2
    assert sum(deaf.sent_by_client) == deaf.sent
    assert deaf.refused_per_thousand == pytest.approx(500, abs=10)
    halves = run_lab(experiment(clients=2, server="sliding", gates=lambda: [DeafGate(290, burst=1)]))
    assert halves.refused == 0
    assert halves.bound.percent == pytest.approx(97, abs=0.5)


def test_answers_tell_the_gates_of_the_limits_where_there_are_headers():
    seen = []

    class ListeningPermit(Permit):
        def settle(self, outcome: Outcome, now: float) -> None:
            seen.append(outcome)

    class ListeningGate(DeafGate):
        def take(self, demand: Demand, now: float) -> Permit:
            super().take(demand, now)
            return ListeningPermit()

    def listen(**settings):
        seen.clear()
        run_lab(experiment(gates=lambda: [ListeningGate(900)], minutes=1.5, server="sliding", **settings))
        dimensions = {reading.dimension for outcome in seen for reading in outcome.limits}
        return dimensions, {
            outcome.retry_after_s is not None for outcome in seen if outcome.error_type is ErrorType.HTTP_429
        }

    assert listen() == (set(), {True})
    assert listen(headers=True, hints=False) == ({"requests"}, {False})


def test_a_gate_that_refuses_lets_the_time_pass():
    report = run_lab(experiment(gates=lambda: [ClosedGate()], minutes=1))
    assert (report.sent, report.answered) == (0, 0)
    assert report.given_up > 50


def test_an_experiment_can_be_repeated():
    config = experiment(clients=2, server="second", minutes=1, latency_s=(0.05, 3), headers=True)
    assert figures(run_lab(config)) == figures(run_lab(config))
    assert figures(run_lab(config)) != figures(run_lab(experiment(clients=2, server="second", minutes=1, seed=1)))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"server": "second", "gates": lambda: [DeafGate(600)], "latency_s": (0.05, 3)},
        {"server": "sliding", "clients": 2, "hints": False},
        {"server": "second", "gates": lambda: [RpmGate(60), ConcurrencyGate(3)], "rpm": 60, "latency_s": (1, 9)},
        {
            "rpm": None,
            "tpm": 70_000,
            "gates": lambda: [TpmGate(70_000)],
            "charging": "usage",
            "headers": True,
            "latency_s": (0.5, 1.5),
        },
        {"gates": lambda: [ClosedGate()]},
    ],
    ids=["paced", "refused", "two clients", "calls at once", "tokens", "closed"],
)
def test_the_quick_way_gives_the_figures_of_a_whole_service(settings):
    config = experiment(minutes=1.505, **settings)
    quick, whole = (figures(run_lab(evolve(config, backend=backend))) for backend in (None, "asyncio"))
    assert to_four_digits(quick) == to_four_digits(whole)  # a loop's time begins elsewhere, and is rounded elsewhere


def test_trio_agrees_with_asyncio():
    ours = run_lab(experiment(minutes=1, backend="asyncio"))
    theirs = run_lab(experiment(minutes=1, backend="trio"))
    assert theirs.refused == ours.refused == 0
    assert theirs.sent == pytest.approx(ours.sent, abs=2)


def test_an_experiment_runs_within_a_running_loop():
    async def within():
        return run_lab(experiment(minutes=0.1))

    assert anyio.run(within).sent > 50


@pytest.mark.slow
def test_an_hour_of_ten_thousand_a_minute_takes_seconds():
    report = run_lab(experiment(gates=partial(rpm_gates, 10_000), rpm=10_000, server="second", minutes=60))
    assert report.refused == 0
    assert report.bound.percent > 97
    assert report.wall_s < 100


# ---------------------------------------------------------------- the parts


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rpm": None}, "needs a limit"),
        ({"jitter_s": (0.2, 0.1)}, "jitter_s must be a least and a greatest value"),
        ({"latency_s": (-1, 1)}, "latency_s"),
        ({"output_used": (0, 2)}, "output_used"),
        ({"change": (0, 1)}, "change must be a positive factor"),
        ({"minutes": 0}, "minutes"),
        ({"server": "leaky"}, "server"),
    ],
)
def test_a_setting_that_cannot_be_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        experiment(**settings)


def test_sizes_are_read_from_words_and_from_numbers():
    assert Sizes.parse("bimodal") == Sizes((50, 8000), (1.0, 1.0))
    assert Sizes.parse("200:3,4000") == Sizes((200, 4000), (3.0, 1.0))
    assert Sizes.parse("oversized").oversized > 1
    for wrong in ("many", "0", "10:0", "10:x"):
        with pytest.raises(ValueError, match="sizes"):
            Sizes.parse(wrong)


def test_a_percentile_counts_those_that_did_not_wait():
    assert percentile([5.0, 1.0], 50, of=2) == 1.0
    assert percentile([5.0, 1.0], 50, of=4) == 0.0
    assert percentile([5.0, 1.0], 99, of=4) == 5.0
    assert percentile([], 50, of=0) == 0.0


def test_the_ledger_finds_the_fullest_minute():
    book = Ledger()
    for at_s, amount in ((0, 5), (30, 5), (60, 1), (89.9, 9), (200, 3)):
        book.enter(at_s, amount)
    assert book.most_in_a_minute() == 15
    assert book.between(0, 60) == 10
