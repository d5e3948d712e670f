"""Plugins of other ages: older hooks work with a warning, newer ones are refused, added arguments break nobody."""

from __future__ import annotations

import logging
import sys
import types

import pluggy
import pytest

import penstock.builtin
import penstock.hookspecs
from penstock import HOOK_API, Registration, hookimpl
from penstock.registry import PLUGINS_VARIABLE, concerns_of, load_registry

PLUGIN = """
    from penstock import PipelineStep, Registration, hookimpl

    {declared}

    class Upper(PipelineStep):
        def process(self, content, context):
            return content.upper()

    @hookimpl
    def penstock_steps():
        return [Registration("upper", Upper)]
"""


def declaring(version: object) -> str:
    return PLUGIN.format(declared=f"penstock_api = {version!r}")


@pytest.fixture
def hooks_have_moved_on(monkeypatch):
    """The hooks are at a version from the future."""
    monkeypatch.setattr(penstock.hookspecs, "HOOK_API", HOOK_API + 1)


# ---------------------------------------------------------------- versions of the hooks


def test_a_plugin_of_the_current_version_is_no_news(site, caplog):
    site.install("acme", declaring(HOOK_API))
    info = site.load_one("acme")
    assert (info.api, info.error, concerns_of(info), caplog.messages) == (HOOK_API, None, (), [])


def test_a_plugin_that_declares_nothing_works_and_the_doctor_says_so(site, caplog):
    site.install("acme", PLUGIN.format(declared=""))
    registry = site.load("acme")
    info = registry.plugins[-1]
    assert (info.api, info.error, caplog.messages) == (None, None, [])
    assert concerns_of(info) == (
        f"it declares no penstock_api, and is taken to be written for version {HOOK_API} of the hooks",
    )
    assert registry.build("step", "upper").process("a", None) == "A"


def test_a_plugin_for_older_hooks_works_with_a_warning_that_names_its_distribution(site, caplog, hooks_have_moved_on):
    site.install("acme", declaring(HOOK_API), version="2.3")
    registry = site.load("acme")
    assert registry.build("step", "upper").process("a", None) == "A"
    (warning,) = [record for record in caplog.records if "acme" in record.message]
    assert warning.levelno == logging.WARNING
    assert warning.message == (
        f"plugin 'acme' of penstock-acme 2.3: it is written for version {HOOK_API} of penstock's hooks, and the "
        f"current one is {HOOK_API + 1}: upgrade penstock-acme before support for the old one ends"
    )


def test_a_plugin_for_newer_hooks_is_refused_and_the_remedy_is_to_upgrade_penstock(site):
    site.install("acme", declaring(HOOK_API + 1))
    site.install("upper", declaring(HOOK_API))
    registry = site.load("acme", "upper")
    _, acme, upper = registry.plugins
    assert acme.error == (
        f"it is written for version {HOOK_API + 1} of penstock's hooks, and this penstock has {HOOK_API}"
    )
    assert acme.remedy == "Upgrade penstock, or install an older penstock-acme."
    assert upper.error is None
    assert registry.names("step") == ("upper",)


def test_a_newer_plugin_is_refused_for_its_version_whatever_else_is_new_about_it(site):
    site.install("acme", declaring(HOOK_API + 1) + "\n    @hookimpl\n    def penstock_caches(): return []")
    assert "written for version" in str(site.load_one("acme").error)


@pytest.mark.parametrize("nonsense", ["1", 0, -1, 1.0, True])
def test_a_version_that_is_none_is_refused(site, nonsense):
    site.install("acme", declaring(nonsense))
    assert site.load_one("acme").error == f"penstock_api is {nonsense!r}, and must be a whole number from 1 on"


def test_an_object_declares_its_version_too():
    class Offers:
        penstock_api = HOOK_API

        @hookimpl
        def penstock_steps(self):
            return [Registration("upper", str.upper)]

    assert load_registry(plugins=[Offers()], entry_points=False).plugins[-1].api == HOOK_API


def test_a_hook_that_gets_an_argument_more_breaks_no_implementation_without_it():
    class Specifications:
        @penstock.hookspecs.hookspec
        def penstock_gates(self, environ):
            """The hook as it may be one day."""

    class Newer:
        @hookimpl
        def penstock_gates(self, environ):
            return [Registration(environ["NAME"], print)]

    manager = pluggy.PluginManager(penstock.hookspecs.PROJECT)
    manager.add_hookspecs(Specifications)
    manager.register(penstock.builtin)
    manager.register(Newer())
    answers = manager.hook.penstock_gates(environ={"NAME": "night"})
    assert {each.name for answer in answers for each in answer} == {"night", "rpm", "tpm", "concurrency"}


# ---------------------------------------------------------------- slow plugins


@pytest.fixture
def clock(monkeypatch):
    """A clock that the plugins of a test find as a module and move on, as time they take."""
    found = types.SimpleNamespace(now=0.0)
    monkeypatch.setitem(sys.modules, "clock_for_a_test", found)
    return found


TAKES_TEN_SECONDS = "import clock_for_a_test; clock_for_a_test.now += 10"
SLOW = {
    "its import": declaring(HOOK_API) + f"\n    {TAKES_TEN_SECONDS}",
    "its hooks": declaring(HOOK_API).replace("return [Reg", f"{TAKES_TEN_SECONDS}\n        return [Reg"),
}


@pytest.mark.parametrize(("part", "source"), SLOW.items(), ids=SLOW)
def test_a_plugin_that_blocks_for_ten_seconds_works_and_is_called_slow(site, caplog, clock, part, source):
    site.install("slow", source)
    registry = load_registry(environ={PLUGINS_VARIABLE: "slow"}, clock=lambda: clock.now)
    info = registry.plugins[-1]
    expected = (
        f"it takes 10.0 s to load, 10.0 s of it {part}: "
        "its authors should import and compute later, by way of 'module:attribute'"
    )
    assert (info.error, info.load_ms) == (None, 10_000)
    assert concerns_of(info) == (expected,)
    assert caplog.messages == [f"plugin 'slow' of penstock-slow 1.0: {expected}"]
    assert "upper" in registry.names("step")


def test_a_little_slowness_is_for_the_doctor_and_not_for_the_log(site, caplog, clock):
    site.install("slow", SLOW["its import"].replace("+= 10", "+= 0.3"))
    registry = load_registry(environ={PLUGINS_VARIABLE: "slow"}, clock=lambda: clock.now)
    assert "0.3 s to load" in concerns_of(registry.plugins[-1])[0]
    assert caplog.messages == []


def test_a_plugin_that_fails_after_a_long_time_is_slow_as_well(site, clock):
    site.install("slow", f"{TAKES_TEN_SECONDS}\nraise RuntimeError('no luck')")
    info = load_registry(environ={PLUGINS_VARIABLE: "slow"}, clock=lambda: clock.now).plugins[-1]
    assert info.error == "RuntimeError: no luck"
    assert "10.0 s to load" in concerns_of(info)[0]
