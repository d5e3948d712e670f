"""What an author's class may not do by accident, and what is reported when it does it on purpose."""

import subprocess
import sys

import pytest

from penstock import PipelineStep
from penstock.testing import GateContract, SinkContract, StepContract, replaces_check


class Echo(PipelineStep):
    name = "echo"

    def process(self, content, context):
        return content


def nothing(self):
    """Check nothing."""


CHECK = "test_it_leaves_no_task_behind"


def test_a_check_cannot_be_hidden_by_accident():
    with pytest.raises(TypeError, match=rf"TestEcho\.{CHECK} hides a check of StepContract") as caught:
        type("TestEcho", (StepContract,), {CHECK: nothing})
    assert "Give it another name" in str(caught.value)
    assert '@replaces_check("the reason")' in str(caught.value)


def test_a_check_cannot_be_removed_by_a_value():
    with pytest.raises(TypeError, match="hides a check of StepContract"):
        type("TestEcho", (StepContract,), {CHECK: None})


def test_a_check_cannot_be_hidden_by_another_base():
    mixin = type("Mixin", (), {CHECK: nothing})
    with pytest.raises(TypeError, match=rf"Mixin\.{CHECK} hides a check of StepContract"):
        type("TestEcho", (mixin, StepContract), {})


def test_a_check_may_be_replaced_for_a_reason_which_is_then_shown():
    class TestEcho(StepContract):
        @replaces_check("it starts a task on purpose")
        def test_it_leaves_no_task_behind(self):
            """Stand in."""

    class TestEchoAgain(TestEcho):
        pass

    for contract in (TestEcho, TestEchoAgain):
        with pytest.raises(pytest.skip.Exception, match=r"replaced by TestEcho\..* it starts a task on purpose"):
            getattr(contract(), f"{CHECK}_as_in_StepContract")()


@pytest.mark.parametrize("reason", ["", "  ", None, nothing])
def test_a_reason_must_be_given(reason):
    with pytest.raises(TypeError, match="say why"):
        replaces_check(reason)


@pytest.mark.parametrize(
    ("contract", "slip", "meant"),
    [
        (StepContract, "mkae", "make"),
        (StepContract, "example", "examples"),
        (StepContract, "repeteable", "repeatable"),
        (GateContract, "wiegh", "weigh"),
        (GateContract, "may_refuses", "may_refuse"),
        (SinkContract, "writen", "written"),
    ],
)
def test_a_misspelt_hook_is_refused_and_the_right_one_named(contract, slip, meant):
    with pytest.raises(TypeError, match=f"'{slip}' is no hook of the contract; did you mean '{meant}'"):
        type("TestSlip", (contract,), {slip: None})


def test_a_capability_is_true_or_false():
    with pytest.raises(TypeError, match="repeatable is 'no', and must be True or False"):
        type("TestEcho", (StepContract,), {"repeatable": "no"})


def test_authors_may_have_tests_and_helpers_of_their_own():
    class TestEcho(StepContract):
        prompts = ("a",)
        _exmaples = ()

        def test_something_else(self):
            pass

    class TestLouder(TestEcho):
        prompts = ("c",)

        def test_something_else(self):
            pass

    assert TestLouder.prompts == ("c",)


def test_a_capability_that_lacks_is_a_skip_that_says_so():
    class TestEcho(StepContract):
        examples = ((1, 1),)
        repeatable = False

        def make(self):
            return Echo()

    with pytest.raises(pytest.skip.Exception, match="TestEcho says repeatable = False"):
        TestEcho().test_it_gives_the_same_answer_again("asyncio")


def test_a_loop_that_the_plugin_is_not_for_is_a_skip_that_says_so():
    class TestEcho(StepContract):
        examples = ((1, 1),)
        backends = ("asyncio",)

        def make(self):
            return Echo()

    with pytest.raises(pytest.skip.Exception, match="TestEcho says backends"):
        TestEcho().test_it_leaves_no_task_behind("trio")


def test_every_check_has_one_sentence_that_is_its_rule():
    from penstock.testing import ProviderContract  # with the others, it would be collected by its name

    for contract in (StepContract, GateContract, SinkContract, ProviderContract):
        for name in dir(contract):
            if name.startswith("test"):
                rule = getattr(contract, name).__doc__ or ""
                assert rule.endswith("."), f"{contract.__name__}.{name}: {rule!r}"
                assert "\n" not in rule, f"{contract.__name__}.{name}: {rule!r}"


def in_a_new_process(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout


def test_a_fake_brings_no_pytest_along():
    code = "import sys; from penstock.testing import ScriptedProvider; print('pytest' in sys.modules)"
    assert in_a_new_process(code) == "False\n"


def test_what_a_suite_needs_is_said_where_it_is_missing():
    code = """
import sys
sys.modules["pytest"] = None
try:
    from penstock.testing import StepContract
except ImportError as error:
    print(error)
"""
    assert in_a_new_process(code) == "StepContract needs pytest: pip install 'penstock[testing]'\n"


def test_the_pytest_plugin_imports_nothing_of_penstock():
    code = "import sys; before = set(sys.modules); import pytest, pytest_penstock; print('penstock' in sys.modules)"
    assert in_a_new_process(code) == "False\n"
