"""The provider `sim` through a real service: both event loops, virtual time, no network."""

import subprocess
import sys
from decimal import Decimal

import anyio
import pytest

from penstock import (
    ConfigError,
    ErrorType,
    GenerationRequest,
    Message,
    ProviderError,
    ResponseFormat,
    RetryPolicy,
    RpmGate,
    Service,
    ToolCall,
    ToolDefinition,
    TpmGate,
)
from penstock.registry import load_registry
from penstock_sim import FAULTS, SimProvider, SimRequest

ONCE = RetryPolicy(strategy="none")
NO_WAIT = RetryPolicy(strategy="constant", base_s=0)
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SCHEMA = {"type": "object", "properties": {"depth": {"type": "integer"}}, "required": ["depth"]}
MESSAGES = (
    Message("system", "Be brief."),
    Message("user", ("How deep", " is the lake?")),
    Message("assistant", tool_calls=(ToolCall(id="c1", name="measure", arguments='{"lake": "Garda"}'),)),
    Message("tool", "346 m", tool_call_id="c1"),
)


@pytest.fixture
def anyio_backend(penstock_virtual_time):
    """Both loops, under virtual time; not for tests that talk to the server over a socket."""
    return penstock_virtual_time


def service(provider=None, /, **options):
    options = {"max_rpm": None, "default_model": "sim/default", "retry": ONCE, **options}
    return Service(providers=[provider or SimProvider()], **options)


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        ({"prompt": "How deep?"}, {"messages": [{"role": "user", "content": "How deep?"}]}),
        (
            {"prompt": "How deep?", "max_tokens": 5, "seed": 7},
            {"messages": [{"role": "user", "content": "How deep?"}], "max_completion_tokens": 5, "seed": 7},
        ),
        (
            {"messages": MESSAGES},
            {
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "How deep"}, {"type": "text", "text": " is the lake?"}],
                    },
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {
                                "id": "c1",
                                "type": "function",
                                "function": {"name": "measure", "arguments": '{"lake": "Garda"}'},
                            }
                        ],
                    },
                    {"role": "tool", "content": "346 m", "tool_call_id": "c1"},
                ]
            },
        ),
        (
            {"prompt": "get_weather!", "tools": [ToolDefinition(name="get_weather", parameters=WEATHER)]},
            {
                "messages": [{"role": "user", "content": "get_weather!"}],
                "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}],
            },
        ),
        (
            {"prompt": "How deep?", "response_format": ResponseFormat(schema=SCHEMA)},
            {
                "messages": [{"role": "user", "content": "How deep?"}],
                "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}},
            },
        ),
        (
            {"prompt": "How deep?", "response_format": ResponseFormat(type="json_object")},
            {"messages": [{"role": "user", "content": "How deep?"}], "response_format": {"type": "json_object"}},
        ),
    ],
    ids=["prompt", "cut", "conversation", "tool", "schema", "json"],
)
def test_it_says_what_the_server_says_to_the_same_request(serve, client, request_, body):
    over_http = client(serve(seed=3)).post("/v1/chat/completions", json={"model": "m", **body}).json()
    (choice,) = over_http["choices"]
    with service(SimProvider(seed=3)) as s:
        result = s.generate_output(GenerationRequest(model="sim/m", **request_))
    assert result.success
    assert result.content == choice["message"]["content"]
    assert result.finish_reason == choice["finish_reason"]
    assert [(call.id, call.name, call.arguments) for call in result.tool_calls] == [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in choice["message"].get("tool_calls", ())
    ]
    assert result.usage.input_tokens == over_http["usage"]["prompt_tokens"]
    assert result.usage.output_tokens == over_http["usage"]["completion_tokens"]


@pytest.mark.anyio
async def test_any_model_answers_and_each_in_its_own_words():
    async with service() as s:
        results = [await s.generate_output_async(GenerationRequest(model=f"sim/{name}", prompt="?")) for name in "aba"]
    assert results[0].content == results[2].content != results[1].content
    assert results[0].response_model == "a"


@pytest.mark.anyio
async def test_b47_an_answer_has_its_made_up_price_unless_the_user_has_one():
    prices = {"sim/dear": {"input": 1_000_000, "output": 0}}
    async with service(costs=prices) as s:
        cheap, dear = [
            await s.generate_output_async(GenerationRequest(model=f"sim/{name}", prompt="?")) for name in ("a", "dear")
        ]
    usage = cheap.usage
    assert cheap.cost_usd == (usage.input_tokens * Decimal("0.10") + usage.output_tokens * Decimal("0.40")) / 1_000_000
    assert dear.cost_usd == dear.usage.input_tokens


@pytest.mark.anyio
async def test_a_choice_of_a_tool_that_is_not_there_is_an_invalid_request():
    async with service() as s:
        result = await s.generate_output_async(GenerationRequest(prompt="?", tool_choice="dig"))
    assert (result.error_type, result.error_message) == (
        ErrorType.INVALID_REQUEST,
        "tool_choice: no tool is named 'dig'",
    )


@pytest.mark.anyio
async def test_without_latency_nothing_sleeps(monkeypatch):
    provider = SimProvider(rpm=10, script="ok")
    monkeypatch.setattr("penstock_sim.provider.anyio.sleep", None)
    async with service(provider) as s:
        assert (await s.generate_output_async("?")).success


@pytest.mark.anyio
async def test_latency_is_between_its_bounds_and_the_same_for_the_same_seed():
    async def durations():
        async with service(SimProvider(latency_s=1, jitter_s=0.5)) as s:
            results = [await s.generate_output_async("?") for _ in range(20)]
        return [round(result.attempts[0].duration_ms) for result in results]

    first, again = await durations(), await durations()
    assert first == again
    assert all(1000 <= duration <= 1500 for duration in first)
    assert len(set(first)) > 10


# ---------------------------------------------------------------- streams


@pytest.mark.anyio
@pytest.mark.parametrize("prompt", ["How deep?", "get_weather"], ids=["text", "tool"])
async def test_a_stream_adds_up_to_the_whole_answer_at_its_pace(prompt):
    request = GenerationRequest(prompt=prompt, tools=[ToolDefinition(name="get_weather", parameters=WEATHER)])
    async with service(SimProvider(latency_s=2, chunk_gap_s=0.5)) as s:
        whole = await s.generate_output_async(request)
        async with s.stream(request) as stream:
            chunks = [chunk async for chunk in stream]
    streamed = stream.result
    for field in ("content", "tool_calls", "usage", "finish_reason", "cost_usd", "response_model"):
        assert getattr(streamed, field) == getattr(whole, field)
    assert len(chunks) > 3
    (attempt,) = streamed.attempts
    assert attempt.first_chunk_ms == pytest.approx(2000, abs=1)
    assert attempt.duration_ms == pytest.approx(2000 + 500 * (len(chunks) - 1), abs=1)


@pytest.mark.anyio
async def test_a_stream_left_in_the_middle_is_settled_and_gives_its_permits_back():
    gate = RpmGate(600)
    async with service(SimProvider(chunk_gap_s=1), gates=[gate], max_concurrent_requests=1) as s:
        async with s.stream("How deep?") as stream:
            async for _ in stream:
                break
        assert stream.result.error_type is ErrorType.CANCELLED
        assert stream.result.usage.estimated
        assert (await s.generate_output_async("next")).success
        assert s.snapshot().in_flight == 0


# ---------------------------------------------------------------- faults

WHOLE = {
    "429": (ErrorType.HTTP_429, 429, 1.0),
    "429:0.25": (ErrorType.HTTP_429, 429, 0.25),
    "429-seconds:0.25": (ErrorType.HTTP_429, 429, 1.0),
    "429-float:0.25": (ErrorType.HTTP_429, 429, 0.25),
    "429-date:0.25": (ErrorType.HTTP_429, 429, 1.0),
    "429-ms": (ErrorType.HTTP_429, 429, 1.0),
    "429-retry-info": (ErrorType.HTTP_429, 429, 1.0),
    "429-none": (ErrorType.HTTP_429, 429, None),
    "too-large": (ErrorType.HTTP_429, 429, None),
    "quota": (ErrorType.INSUFFICIENT_QUOTA, 429, None),
    "401": (ErrorType.AUTHENTICATION, 401, None),
    "403": (ErrorType.UNSUPPORTED_REGION, 403, None),
    "404": (ErrorType.NOT_FOUND, 404, None),
    "context": (ErrorType.CONTEXT_LENGTH, 400, None),
    "500": (ErrorType.SERVER_ERROR, 500, None),
    "503": (ErrorType.OVERLOADED, 503, None),
    "503-retry-after": (ErrorType.OVERLOADED, 503, 1.0),
    "slow": (None, None, None),
    "stall": (ErrorType.TIMEOUT, None, None),
    "torn": (ErrorType.MALFORMED_RESPONSE, None, None),
    "unfinished": (ErrorType.MALFORMED_RESPONSE, 200, None),
    "error-event": (ErrorType.SERVER_ERROR, 500, None),
    "malformed": (ErrorType.MALFORMED_RESPONSE, 200, None),
    "empty": (ErrorType.MALFORMED_RESPONSE, 200, None),
    "oversized": (ErrorType.MALFORMED_RESPONSE, None, None),
    "close": (ErrorType.CONNECTION, None, None),
    "reset": (ErrorType.CONNECTION, None, None),
}
STREAMED = WHOLE | {
    "torn": (ErrorType.CONNECTION, None, None),
    "unfinished": (ErrorType.CONNECTION, 200, None),
    "error-event": (ErrorType.SERVER_ERROR, 200, None),
}
IN_MID_STREAM = {"stall", "torn", "unfinished", "error-event", "malformed"}


def test_every_fault_is_tried_below():
    assert {name.partition(":")[0] for name in WHOLE} == set(FAULTS)


@pytest.mark.anyio
@pytest.mark.parametrize("fault", WHOLE)
async def test_each_fault_is_what_a_client_of_a_real_server_reports(fault):
    async with service(SimProvider(script=fault), attempt_timeout_s=60) as s:
        result = await s.generate_output_async("?")
    (attempt,) = result.attempts
    assert (attempt.error_type, attempt.status_code, attempt.retry_after_s) == WHOLE[fault]
    assert result.error_type is attempt.error_type
    assert attempt.duration_ms == pytest.approx({"slow": 5_000, "stall": 60_000}.get(fault, 0), abs=1)


@pytest.mark.anyio
@pytest.mark.parametrize("fault", STREAMED)
async def test_each_fault_of_a_stream_is_what_a_client_of_a_real_server_reports(fault):
    async with service(SimProvider(script=fault), attempt_timeout_s=60) as s, s.stream("?") as stream:
        chunks = [chunk async for chunk in stream]
    result = stream.result
    (attempt,) = result.attempts
    assert (attempt.error_type, attempt.status_code, attempt.retry_after_s) == STREAMED[fault]
    assert bool(chunks) == (fault in IN_MID_STREAM or fault == "slow")


@pytest.mark.anyio
async def test_every_fault_but_the_oversized_answer_is_worth_what_its_type_says():
    for fault, (error_type, _, _) in WHOLE.items():
        async with service(SimProvider(script=fault), attempt_timeout_s=60, retry=NO_WAIT) as s:
            result = await s.generate_output_async("?")
        retryable = error_type is not None and error_type.retryable and fault != "oversized"
        assert len(result.attempts) == (2 if retryable else 1), fault
        assert result.success == (retryable or error_type is None), fault


@pytest.mark.anyio
async def test_faults_come_by_rate_the_same_for_the_same_seed():
    async def outcomes():
        async with service(SimProvider(faults={"500": 0.2, "close": 0.1}, seed=5)) as s:
            return [(await s.generate_output_async("?")).error_type for _ in range(200)]

    first = await outcomes()
    assert first == await outcomes()
    assert 20 < first.count(ErrorType.SERVER_ERROR) < 60
    assert 5 < first.count(ErrorType.CONNECTION) < 40


# ---------------------------------------------------------------- limits


async def ask(s, count, request="How deep is the lake?"):
    results = []

    async def one():
        results.append(await s.generate_output_async(request))

    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(one)
    return results, anyio.current_time() - began


@pytest.mark.anyio
async def test_a_gate_at_the_limit_meets_no_429_and_wastes_no_time():
    provider = SimProvider(rpm=600, limiter="second")
    async with service(provider, gates=[RpmGate(600)]) as s:
        results, elapsed = await ask(s, 300)
    assert all(result.success and len(result.attempts) == 1 for result in results)
    assert 27 < elapsed <= 30


@pytest.mark.anyio
async def test_a_gate_on_tokens_counts_as_the_provider_does():
    request = GenerationRequest(prompt="How deep is the lake?", max_tokens=93)  # 7 + 93 tokens in advance
    async with service(SimProvider(tpm=60_000, limiter="second"), gates=[TpmGate(60_000)]) as s:
        results, elapsed = await ask(s, 300, request)
    assert all(result.success and len(result.attempts) == 1 for result in results)
    assert 27 < elapsed <= 31


@pytest.mark.anyio
async def test_without_a_gate_the_limit_answers_429_with_the_time_to_wait():
    async with service(SimProvider(rpm=60, limiter="second")) as s:
        results, _ = await ask(s, 3)
        refused = [result for result in results if not result.success]
        assert len(refused) == 2
        assert all(result.error_type is ErrorType.HTTP_429 for result in refused)
        assert refused[0].attempts[0].retry_after_s == 1.0
        assert "Limit 60" in refused[0].error_message
        await anyio.sleep(1.0)
        assert (await s.generate_output_async("?")).success


@pytest.mark.anyio
async def test_an_answer_tells_the_state_of_the_limits():
    provider = SimProvider(rpm=60, tpm=6000)
    async with service(provider) as s:
        await s.generate_output_async("How deep is the lake?")
        reply = await provider.invoke({"request": SimRequest(model="m", prompt="user: ?", question="?")})
    requests, tokens = reply.limits
    assert (requests.dimension, requests.limit, requests.remaining) == ("requests", 60, 58)
    assert (tokens.dimension, tokens.limit) == ("tokens", 6000)
    assert tokens.reset_s


@pytest.mark.anyio
async def test_a_refusal_tells_the_state_of_the_limits_too():
    provider = SimProvider(rpm=60, limiter="second")
    payload = {"request": SimRequest(model="m", prompt="user: ?", question="?")}
    await provider.invoke(payload)
    with pytest.raises(ProviderError) as caught:
        await provider.invoke(payload)
    (requests,) = caught.value.limits
    assert (requests.dimension, requests.limit, requests.reset_s) == ("requests", 60, 1.0)


# ---------------------------------------------------------------- settings


def test_the_plugin_is_found_without_bringing_the_server_along():
    script = "import sys, penstock_sim.plugin; assert not {'httptools', 'penstock_sim.model'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], timeout=60, check=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"latncy_s": 1}, "providers.sim.latncy_s: unknown key; did you mean 'latency_s'?"),
        ({"rpm": "600"}, "providers.sim.rpm: "),
        ({"rpm": 0}, "providers.sim: rpm must be 1 or more"),
        ({"limiter": "secnd"}, "providers.sim.limiter: "),
        ({"latency_s": -1}, "providers.sim: latency_s must be 0 or more"),
        ({"faults": {"50": 0.1}}, "providers.sim: unknown fault '50': did you mean"),
        ({"faults": {"500": 2}}, "providers.sim: the rate of a fault must be a number from 0 to 1"),
        ({"script": "ok*x"}, "providers.sim: "),
        ({"natural_tokens": [9, 3]}, "providers.sim: natural_tokens must be"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_path(options, said):
    with pytest.raises(ConfigError) as caught:
        load_registry().build("provider", "sim", options, path="providers.sim")
    (problem,) = caught.value.problems
    assert problem.startswith(said)


@pytest.mark.anyio
async def test_settings_come_from_the_config_file(tmp_path):
    config = tmp_path / "penstock.toml"
    config.write_text(
        """
        [service]
        default_model = "sim/default"
        retry = { strategy = "none" }
        [providers.sim]
        script = "429:7"
        faults = { "500" = 0.0 }
        natural_tokens = [2, 3]
        """
    )
    async with Service.from_config(config) as s:
        failed, fine = [await s.generate_output_async("?") for _ in range(2)]
    assert failed.attempts[0].retry_after_s == 7
    assert fine.usage.output_tokens <= 6
    assert fine.cost_usd
