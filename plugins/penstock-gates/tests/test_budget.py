"""Money: reserved, settled, and never overspent."""

from decimal import Decimal

import anyio
import pytest

from penstock import Demand, ErrorType, GateRefusedError, GenerationRequest, Outcome, ProviderReply, Service, Usage
from penstock.contracts import NEVER
from penstock.testing import ScriptedProvider
from penstock_gates import BudgetGate

COSTS = {"fake/m": {"input": "1", "output": "2"}}  # USD per million tokens


def usd(text):
    return Demand(cost_usd=Decimal(text))


def test_a_call_that_only_reservations_keep_out_waits_for_them():
    gate, woken = BudgetGate(1), []
    gate.watch(lambda: woken.append(1))
    first = gate.take(usd("0.8"), 0.0)
    assert gate.delay(usd("0.5"), 0.0) == NEVER
    first.settle(Outcome(cost_usd=Decimal("0.1")), 1.0)
    assert woken
    assert gate.delay(usd("0.5"), 1.0) == 0


def test_a_call_that_spent_money_keeps_out_is_refused_with_the_figures_and_a_cheaper_one_passes():
    gate = BudgetGate(1, name="money")
    gate.take(usd("0.7"), 0.0).settle(Outcome(cost_usd=Decimal("0.65")), 0.0)
    gate.take(usd("0.05"), 0.0)
    with pytest.raises(GateRefusedError, match=r"money: .* 1 USD per run: 0.65 spent, 0.05 reserved .* cost 0.4$"):
        gate.delay(usd("0.4"), 0.0)
    assert gate.delay(usd("0.3"), 0.0) == 0


def test_sums_are_exact():
    gate = BudgetGate(0.3)
    for _ in range(3):
        assert gate.delay(usd("0.1"), 0.0) == 0
        gate.take(usd("0.1"), 0.0)
    assert gate.snapshot(0.0).used == 0.3


def test_what_nobody_knows_the_cost_of_keeps_its_reservation_and_what_never_left_costs_nothing():
    gate = BudgetGate(1)
    gate.take(usd("0.6"), 0.0).settle(Outcome(error_type=ErrorType.TIMEOUT), 0.0)
    gate.take(usd("0.3"), 0.0).settle(Outcome(sent=False), 0.0)
    assert gate.snapshot(0.0).used == 0.6


def test_a_price_that_nobody_knows_is_refused_or_free():
    with pytest.raises(GateRefusedError, match=r"no known price.*\[costs\].*unknown = \"free\""):
        BudgetGate(1).delay(Demand(), 0.0)
    gate = BudgetGate(1, unknown="free")
    assert gate.delay(Demand(), 0.0) == 0
    gate.take(Demand(), 0.0).settle(Outcome(), 0.0)
    assert gate.snapshot(0.0).used == 0


def test_a_spent_day_refuses_or_waits_for_the_next():
    for when_spent in ("refuse", "wait"):
        gate = BudgetGate(1, per="day", reset="rolling", when_spent=when_spent)
        gate.take(usd("1"), 0.0).settle(Outcome(cost_usd=Decimal(1)), 0.0)
        if when_spent == "wait":
            assert gate.delay(usd("0.5"), 3600.0) == pytest.approx(23 * 3600, abs=2)
        else:
            with pytest.raises(GateRefusedError, match="1 USD per day"):
                gate.delay(usd("0.5"), 3600.0)
        assert gate.delay(usd("0.5"), 86_402.0) == 0


def test_a_call_that_costs_more_than_a_day_has_is_refused_rather_than_kept_waiting():
    with pytest.raises(GateRefusedError):
        BudgetGate(1, per="day", when_spent="wait").delay(usd("1.5"), 0.0)


@pytest.mark.anyio
async def test_a_service_stops_before_the_budget_is_overspent_and_says_why():
    reply = ProviderReply("ok", Usage(input_tokens=10, output_tokens=90))
    provider = ScriptedProvider([reply], latency_s=1.0)
    gate = BudgetGate(0.01)
    request = GenerationRequest(model="fake/m", prompt="x" * 39, max_tokens=100)
    async with Service(providers=[provider], gates=[gate], costs=COSTS) as service:
        results = [result async for result in service.generate_many([request] * 200)]
        spent = service.snapshot().cost_usd
    per_call, reserved = Decimal("0.000190"), Decimal("0.000210")
    assert Decimal("0.01") - reserved < spent <= Decimal("0.01")
    assert len(provider.calls) == spent / per_call
    refused = [result for result in results if not result.success]
    assert len(refused) == 200 - len(provider.calls)
    assert {result.error_type for result in refused} == {ErrorType.GATE_REFUSED}
    assert "no room in the budget of 0.01 USD per run" in str(refused[0].error_message)
    assert gate._books.reserved == 0


@pytest.mark.anyio
async def test_a_budget_of_one_operation_leaves_the_others_alone():
    gate = BudgetGate(0.0001, operation="translate")
    async with Service(providers=[ScriptedProvider()], gates=[gate], costs=COSTS) as service:
        for operation, error in [("translate", ErrorType.GATE_REFUSED), ("sum up", None), (None, None)]:
            request = GenerationRequest(model="fake/m", prompt="x", max_tokens=1000, operation=operation)
            assert (await service.generate_output_async(request)).error_type is error


@pytest.mark.anyio
async def test_cancelled_calls_leave_no_reservation_but_what_they_may_have_cost():
    gate = BudgetGate(1)
    provider = ScriptedProvider(latency_s=60.0)
    async with Service(providers=[provider], gates=[gate], costs=COSTS) as service:
        with anyio.move_on_after(1):
            await service.generate_output_async(GenerationRequest(model="fake/m", prompt="x" * 39, max_tokens=100))
    assert gate._books.reserved == 0
    assert gate.snapshot(0.0).used == 0.00021
