"""The rules of the suites as docs/how-to/test-a-plugin.md tells them, compared with the suites themselves."""

import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import penstock.testing

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "test-a-plugin.md"
SUITES = [name for name in penstock.testing.__all__ if name.endswith("Contract")]


def rules_on_the_page(suite):
    (section,) = re.findall(rf"^### .*`{suite}`\n(.*?)(?=^#|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE))


def rules_of(suite):
    contract = getattr(penstock.testing, suite)
    checks = [name for name in dir(contract) if name.startswith("test_")]
    return {name.removeprefix("test_"): getattr(contract, name).__doc__ for name in checks}


@pytest.mark.parametrize("suite", SUITES)
def test_every_rule_is_on_the_page_in_its_own_words(suite):
    assert rules_on_the_page(suite) == rules_of(suite)


@pytest.mark.parametrize("suite", SUITES)
def test_every_hook_that_a_suite_has_is_explained_where_it_is_read(suite):
    contract = getattr(penstock.testing, suite)
    bases = [base for base in contract.__mro__ if base.__module__.startswith("penstock.testing.")]
    attributes = {name for base in bases for name in vars(base).get("__annotations__", ()) if not name.startswith("_")}
    told = "".join(base.__doc__ or "" for base in bases)
    explained = re.findall(r"^ +(\w+(?:, \w+)*): ", told, re.MULTILINE)
    assert attributes <= {name for names in explained for name in names.split(", ")}


def test_the_fixtures_on_the_page_are_those_of_the_pytest_plugin():
    (point,) = entry_points(group="pytest11", name="penstock")
    fixtures = {name for name in vars(point.load()) if name.startswith("penstock_")}
    assert fixtures == set(re.findall(r"^\| `(penstock_\w+)` \|", PAGE.read_text(), re.MULTILINE))
