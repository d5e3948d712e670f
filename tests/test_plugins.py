"""The workspace's plugins as the doctor sees them: all well."""

import pytest

from penstock import HOOK_API
from penstock.registry import PLUGINS_VARIABLE, Registry, concerns_of, load_registry


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


def test_each_plugin_declares_the_current_version_of_the_hooks(registry, projects):
    ours = [info for info in registry.plugins if info.dist in projects]
    assert ours
    assert [info.label for info in ours if info.api != HOOK_API] == []


def test_no_part_of_a_plugin_has_a_problem(registry):
    assert [problem for part in registry.parts() for problem in (*part.problems, *part.concerns)] == []


def test_each_plugin_can_be_chosen_alone(registry, projects):
    for info in registry.plugins[1:]:
        alone = load_registry(environ={PLUGINS_VARIABLE: info.name}).plugins[-1]
        assert (alone.name, alone.error, concerns_of(alone)) == (info.name, None, ())
