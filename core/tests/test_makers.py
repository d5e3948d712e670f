"""Records from a maker: the same as any others, only made faster."""

import copy
import pickle
from decimal import Decimal

import pytest
from attrs import evolve, fields, frozen
from attrs.exceptions import FrozenInstanceError

from penstock import Demand, GenerationRequest, GenerationResult, LLMCallRequest, Message, Outcome
from penstock.schema.makers import maker_of

make_demand = maker_of(Demand)
REQUEST = GenerationRequest(prompt="hi")


def test_a_made_record_is_the_record_that_its_class_makes():
    made, usual = make_demand(input_tokens=3, cost_usd=Decimal("0.1")), Demand(input_tokens=3, cost_usd=Decimal("0.1"))
    assert type(made) is Demand
    assert (made, hash(made), repr(made)) == (usual, hash(usual), repr(usual))
    assert made.to_dict() == usual.to_dict()


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        (Demand, {}),
        (Outcome, {}),
        (Message, {"role": "user"}),
        (LLMCallRequest, {"model": "m", "messages": ()}),
        (GenerationResult, {"success": False, "trace_id": "t", "request": REQUEST}),
    ],
)
def test_what_is_left_out_has_the_default_of_its_class(kind, needed):
    made, usual = maker_of(kind)(**needed), kind(**needed)
    assert made == usual
    for each in fields(kind):
        assert getattr(made, each.name) == getattr(usual, each.name)


def test_a_made_record_refuses_change():
    made = make_demand()
    with pytest.raises(FrozenInstanceError):
        made.requests = 2  # type: ignore[misc]  # the type checker knows, too
    with pytest.raises(FrozenInstanceError):
        del made.requests
    assert not hasattr(made, "__dict__")


def test_a_made_record_can_be_copied_pickled_and_replaced():
    made = make_demand(output_tokens=4)
    assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == Demand(output_tokens=4)
    assert evolve(made, requests=2) == made.replace(requests=2) == Demand(output_tokens=4, requests=2)


def test_private_fields_have_their_public_name_as_argument():
    @frozen
    class Ticket:
        _number: int

    assert maker_of(Ticket)(number=7) == Ticket(7)


def test_a_wrong_argument_is_refused_by_its_name():
    with pytest.raises(TypeError, match="tokens"):
        make_demand(tokens=1)  # type: ignore[call-arg]  # likewise
    with pytest.raises(TypeError, match="trace_id"):
        maker_of(GenerationResult)(success=True, request=REQUEST)  # type: ignore[call-arg]  # likewise


def test_only_a_class_has_a_maker():
    with pytest.raises(TypeError, match="is no class"):
        maker_of(lambda: None)
