"""`semantic_isolation`: the second call, its gates and its costs."""

from decimal import Decimal

import pytest

from penstock import ErrorType, GenerationRequest, ProviderError, RpmGate, Service, StepError, Usage
from penstock.testing import ScriptedGenerate, ScriptedProvider, StepContract, sample_result, step_context
from penstock_steps import SemanticIsolation

pytestmark = pytest.mark.anyio

COSTS = {"fake/m": {"input": 1.0, "output": 2.0}, "fake/small": {"input": 0.1, "output": 0.2}}
ANSWER = "Sure! Flour, {water}, salt. Enjoy your {element} and {content}!"


class TestSemanticIsolation(StepContract):
    examples = ((ANSWER, "the recipe"), ({"text": "é"}, "the recipe"))
    failures = (None, 5, b"x")
    answers = ("  the recipe\n",)

    def make(self):
        return SemanticIsolation("recipe")


async def isolated(step, answers, content=ANSWER):
    generate = ScriptedGenerate(answers)
    made = await step.process(content, step_context(content, generate=generate))
    return made, generate.requests


async def test_the_default_prompt_names_the_element_and_holds_the_answer_as_it_is():
    _, requests = await isolated(SemanticIsolation("recipe"), ["ok"])
    assert "Copy the recipe out of the text below" in requests[0].prompt
    assert ANSWER in requests[0].prompt
    assert requests[0].pipeline == ()


async def test_the_prompt_the_model_and_the_limit_are_settings():
    step = SemanticIsolation("SQL", prompt="{element}? {content}", model="fake/small", max_tokens=7)
    _, requests = await isolated(step, ["ok"])
    assert (requests[0].prompt, requests[0].model, requests[0].max_tokens) == (f"SQL? {ANSWER}", "fake/small", 7)


async def test_data_is_given_to_the_model_as_json():
    _, requests = await isolated(SemanticIsolation("name"), ["ok"], {"name": "Zoë"})
    assert '{"name": "Zoë"}' in requests[0].prompt


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (sample_result(error_type=ErrorType.SERVER_ERROR), "the call to isolate 'recipe' failed: "),
        (sample_result(content="half a rec", raw_content="half a rec", finish_reason="length"), "raise max_tokens"),
        (sample_result(content=" \n", raw_content=" \n"), "gave no text"),
        (sample_result(content=None, raw_content=None), "gave no text"),
    ],
)
async def test_a_call_that_gives_nothing_is_the_steps_failure(answer, says):
    with pytest.raises(StepError, match=says):
        await isolated(SemanticIsolation("recipe"), [answer])


def test_settings_that_cannot_be_are_refused_when_the_step_is_made():
    with pytest.raises(ValueError, match=r"prompt must have \{content\}"):
        SemanticIsolation("recipe", prompt="Isolate the {element}.")
    with pytest.raises(ValueError, match="max_tokens"):
        SemanticIsolation("recipe", max_tokens=0)
    with pytest.raises(ValueError, match="element"):
        SemanticIsolation("")


# ---------------------------------------------------------------- in a service


def serve(answers, step, **options):
    provider = ScriptedProvider(answers)
    with Service(
        providers=[provider], default_model="fake/m", pipeline=[step], costs=COSTS, max_rpm=None, **options
    ) as service:
        result = service.generate_output(GenerationRequest(prompt="A recipe, please.", operation="cook"))
        return result, service.snapshot(), service.usage("cook"), provider


def test_b49_the_isolated_element_is_the_content_and_the_whole_answer_the_raw_content():
    result, _, _, _ = serve([ANSWER, "Flour, water, salt."], SemanticIsolation("recipe"))
    assert result.content == "Flour, water, salt."
    assert result.raw_content == ANSWER
    assert not result.degraded
    assert [step.step_name for step in result.pipeline_results] == ["semantic_isolation"]


def test_failure_7_the_second_call_counts_in_usage_cost_and_metrics():
    result, snapshot, usage, provider = serve([ANSWER, "Flour."], SemanticIsolation("recipe", model="fake/small"))
    second = result.pipeline_results[0]
    assert [call["model"] for call in provider.calls] == ["m", "small"]
    assert second.usage.input_tokens > 0
    assert second.cost_usd is not None
    assert result.cost_usd is not None
    assert result.usage.input_tokens > second.usage.input_tokens
    first = result.attempts[0].cost_usd
    assert first is not None
    assert result.cost_usd == first + second.cost_usd == snapshot.cost_usd
    assert second.cost_usd > Decimal(0)
    assert snapshot.requests == 1
    assert usage.cost_usd == result.cost_usd


def test_failure_7_the_second_call_passes_the_same_gates():
    _, snapshot, _, provider = serve([ANSWER, "Flour."], SemanticIsolation("recipe"), gates=[RpmGate(1000)])
    assert len(provider.calls) == 2
    assert sum(gate.name == "rpm" for gate in snapshot.gates) == 1


def test_b49_a_second_call_that_fails_leaves_the_raw_answer():
    refused = ProviderError("no", ErrorType.AUTHENTICATION)
    result, _, _, _ = serve([ANSWER, refused], SemanticIsolation("recipe"))
    assert result.success
    assert result.degraded
    assert result.content == ANSWER
    failed = result.pipeline_results[-1]
    assert (failed.step_name, failed.success) == ("semantic_isolation", False)
    assert str(failed.error_message).startswith("the call to isolate 'recipe' failed: ")
    assert isinstance(result.usage, Usage)
