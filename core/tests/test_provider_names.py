"""One provider under two names: two keys, each with limits, a queue and books of its own."""

import anyio
import pytest

from penstock import GenerationRequest, RpmGate, Service
from penstock.config import parse_config
from penstock.contracts import Registration
from penstock.errors import ConfigError, ErrorType
from penstock.hookspecs import hookimpl
from penstock.registry import load_registry
from penstock.testing import ScriptedProvider

pytestmark = pytest.mark.anyio

MADE = {}


class Acme(ScriptedProvider):
    def __init__(self, *, api_key: str = "none") -> None:
        super().__init__([f"with {api_key}"], name="acme")
        self.costs = {"m": {"input": 1, "output": 1}}
        MADE[api_key] = self


class Plugin:
    @hookimpl
    def penstock_providers(self):
        return [Registration("acme", Acme)]


@pytest.fixture
def registry():
    return load_registry(plugins=[Plugin()], entry_points=False)


TWO_KEYS = {
    "providers": {"team-a": {"use": "acme", "api_key": "a"}, "team-b": {"use": "acme", "api_key": {"env": "KEY_B"}}},
    "gates": [
        {"use": "rpm", "limit": 60, "match": "team-a/*", "name": "rpm-a"},
        {"use": "rpm", "limit": 600, "match": "team-b/*", "name": "rpm-b"},
    ],
}


async def test_two_keys_of_one_provider_have_limits_and_queues_of_their_own(registry, monkeypatch):
    monkeypatch.setenv("KEY_B", "b")
    async with Service.from_config(parse_config(TWO_KEYS, None, registry), registry=registry) as service:
        began = anyio.current_time()
        times = {"team-a": [], "team-b": []}

        async def ask(name):
            result = await service.generate_output_async(GenerationRequest(model=f"{name}/m", prompt="x"))
            times[name].append(anyio.current_time() - began)
            return result

        async with anyio.create_task_group() as group:
            for name in times:
                for _ in range(10):
                    group.start_soon(ask, name)
        result = await ask("team-b")
        gates = {gate.name: gate.admitted for gate in service.snapshot().gates}
        models = set(service.snapshot().by_model)
    assert (result.content, result.provider, result.model) == ("with b", "team-b", "m")
    assert result.cost_usd  # prices go by the provider's own name
    assert gates == {"rpm-a": 10, "rpm-b": 11}
    assert models == {"team-a/m", "team-b/m"}
    assert max(times["team-b"][:10]) < 2 < max(times["team-a"]), "the slow key held up the fast one"


async def test_providers_may_be_given_by_name():
    fast, slow = ScriptedProvider(["fast"]), ScriptedProvider(["slow"])
    gates = [RpmGate(6000, match="a/*")]
    async with Service(providers={"a": fast, "b": slow, "c": slow}, gates=gates) as service:
        contents = [
            (await service.generate_output_async(GenerationRequest(model=f"{name}/m", prompt="x"))).content
            for name in "abc"
        ]
    assert contents == ["fast", "slow", "slow"]
    assert gates[0].snapshot(0).admitted == 1


async def test_a_files_default_model_may_be_of_a_provider_that_the_program_brings(tmp_path):
    file = tmp_path / "penstock.toml"
    file.write_text('[service]\ndefault_model = "mine/m"\n')
    with pytest.raises(ConfigError, match="no provider named 'mine'"):
        Service.from_config(file)
    async with Service.from_config(file, providers={"mine": ScriptedProvider(["hello"])}) as service:
        assert (await service.generate_output_async("x")).content == "hello"


def test_two_providers_of_one_name_are_refused_with_the_way_out():
    with pytest.raises(ConfigError, match="two are named 'fake'; a mapping gives each a name of its own"):
        Service(providers=[ScriptedProvider(), ScriptedProvider()])


async def test_a_variable_that_is_not_set_is_named_when_its_provider_is_used_and_not_before(registry, monkeypatch):
    monkeypatch.delenv("KEY_B", raising=False)
    async with Service.from_config(parse_config(TWO_KEYS, None, registry), registry=registry) as service:
        fine = await service.generate_output_async(GenerationRequest(model="team-a/m", prompt="x"))
        result = await service.generate_output_async(GenerationRequest(model="team-b/m", prompt="x"))
    assert fine.success
    assert result.error_type is ErrorType.INVALID_REQUEST
    assert result.error_message == "providers.team-b.api_key: the environment variable KEY_B is not set"


def test_a_name_for_a_provider_that_does_not_exist_is_refused_with_the_place(registry):
    with pytest.raises(ConfigError) as refusal:
        parse_config({"providers": {"b": {"use": "acmee"}}}, None, registry)
    assert refusal.value.problems == ("providers.b: no provider named 'acmee'; did you mean 'acme'?",)


def test_a_value_from_the_environment_is_not_repeated_when_it_is_wrong(registry, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")

    class Sink:
        @hookimpl
        def penstock_sinks(self):
            def make(*, port: int):
                raise AssertionError

            return [Registration("net", make)]

    both = load_registry(plugins=[Plugin(), Sink()], entry_points=False)
    with pytest.raises(ConfigError) as refusal:
        parse_config({"sinks": [{"use": "net", "port": {"env": "SECRET"}}]}, None, both)
    assert "sinks[0].port" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
    with pytest.raises(ConfigError, match=r"sinks\[0\]\.port: the environment variable NOWHERE is not set"):
        parse_config({"sinks": [{"use": "net", "port": {"env": "NOWHERE"}}]}, None, both)
