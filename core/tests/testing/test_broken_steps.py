"""A step that breaks one rule fails the check of that rule, which says what to change, and no other."""

import asyncio
import time
from typing import Any

import anyio
import pytest
import trio

from penstock import GenerationRequest, PipelineStep, StepError
from penstock.testing import StepContract, sample_result


class Count(PipelineStep):
    """Counts a list's items: the sound step that the others break."""

    name = "count"

    def process(self, content, context):
        if not isinstance(content, list):
            raise StepError("there are no items to count")
        return len(content)


class Ask(PipelineStep):
    """Asks a model."""

    name = "ask"

    async def process(self, content, context):
        if not isinstance(content, list):
            raise StepError("there is nothing to ask about")
        result = await context.generate(GenerationRequest(prompt=str(content)))
        return result.content


class CountContract(StepContract):
    examples = (([1, 2], 2), ([], 0))
    failures = (42,)

    def make(self):
        return Count()


class AskContract(StepContract):
    examples: Any = (([1, 2], "ok"), ([], "ok"))
    failures = (42,)

    def make(self):
        return Ask()


class Named(Count):
    name = "Count Items"


class Nameless(Count):
    name = "step"


class OffByOne(Count):
    def process(self, content, context):
        return super().process(content, context) + (len(content) == 2)


class Lenient(Count):
    def process(self, content, context):
        return 0 if content == 42 else super().process(content, context)


class Wordless(Count):
    def process(self, content, context):
        if content == 42:
            raise StepError("")
        return super().process(content, context)


class Careless(Count):
    def process(self, content, context):
        return content.pop() if content == 42 else super().process(content, context)


class Exits(Count):
    def process(self, content, context):
        if content == "":
            raise SystemExit(1)
        return super().process(content, context)


class Hangs(Count):
    async def process(self, content, context):
        if content == "":
            await anyio.sleep_forever()
        return super().process(content, context)


class Insists(Ask):
    async def process(self, content, context):
        if not isinstance(content, list):
            raise StepError("there is nothing to ask about")
        while True:
            result = await context.generate(GenerationRequest(prompt=str(content)))
            if result.success:
                return result.content


class Swallows(Ask):
    async def process(self, content, context):
        try:
            return await super().process(content, context)
        except StepError:
            raise
        except BaseException:  # noqa: BLE001  # what is broken about it
            return "ok"


class Consumes(Count):
    def process(self, content, context):
        count = super().process(content, context)
        content.clear()
        return count


class Remembers(Count):
    def __init__(self):
        self.seen = {}

    def process(self, content, context):
        count = super().process(content, context)
        self.seen[count] = times = self.seen.get(count, 0) + 1
        return count + 100 * (times > 1)


class Mixes(Ask):
    async def process(self, content, context):
        if not isinstance(content, list):
            raise StepError("there is nothing to ask about")
        self.content = content
        await context.generate(GenerationRequest(prompt=str(content)))
        return len(self.content)


class MixesContract(AskContract):
    examples = (([1, 2], 2), ([], 0))


class Litters(Count):
    left = set()  # noqa: RUF012  # shared on purpose: without it the tasks would be collected

    async def process(self, content, context):
        count = super().process(content, context)
        if trio.lowlevel.in_trio_run():
            trio.lowlevel.spawn_system_task(anyio.sleep, 1000)
        else:
            self.left.add(asyncio.ensure_future(anyio.sleep(1000)))
        return count


class Blocks(Count):
    def process(self, content, context):
        time.sleep(0.008)
        return super().process(content, context)


class SlowAndAsync(Count):
    slow = True

    async def process(self, content, context):
        return super().process(content, context)


BROKEN = {
    Named: ("test_its_name_is_an_identifier", "such as 'to_dict'"),
    Nameless: ("test_its_name_is_an_identifier", "set the class attribute `name`"),
    OffByOne: ("test_it_makes_of_each_example_what_it_should", "should make 2"),
    Lenient: ("test_it_fails_where_it_should", "must raise StepError"),
    Wordless: ("test_it_fails_where_it_should", "give the error a message"),
    Careless: ("test_it_fails_where_it_should", "by accident as it seems; raise StepError"),
    Exits: ("test_whatever_it_is_given_it_ends", "raise StepError instead"),
    Hangs: ("test_whatever_it_is_given_it_ends", "bound its loops and waits"),
    Insists: ("test_it_ends_when_the_calls_of_a_model_fail", "bound its loops and waits"),
    Swallows: ("test_it_lets_cancellation_pass", "catch Exception, not BaseException"),
    Consumes: ("test_it_changes_neither_its_input_nor_its_context", "copy it and change the copy"),
    Remembers: ("test_it_gives_the_same_answer_again", "keep nothing of a request on self"),
    Mixes: ("test_requests_at_the_same_time_do_not_mix", "local variables, not on self"),
    Litters: ("test_it_leaves_no_task_behind", "create_task_group"),
    Blocks: ("test_it_does_not_hold_up_the_event_loop", "set slow = True"),
    SlowAndAsync: ("test_it_does_not_hold_up_the_event_loop", "does nothing for an `async def`"),
}


# What was kept of a request is wrong for the next one, whether that comes afterwards or meanwhile.
ALSO = {Remembers: {"test_requests_at_the_same_time_do_not_mix"}}


def contract_of(step):
    base = MixesContract if step is Mixes else AskContract if issubclass(step, Ask) else CountContract
    return type(f"{step.__name__}Contract", (base,), {"make": staticmethod(step)})


@pytest.mark.parametrize("contract", [CountContract, AskContract], ids=lambda contract: contract.__name__)
def test_a_sound_step_passes_every_check(contract, failed_checks):
    assert failed_checks(contract) == {}


@pytest.mark.parametrize("step", BROKEN, ids=lambda step: step.__name__)
def test_a_broken_step_fails_the_check_of_its_rule_alone(step, failed_checks):
    check, remedy = BROKEN[step]
    failed = failed_checks(contract_of(step))
    assert set(failed) == {check} | ALSO.get(step, set()), failed
    assert remedy in failed[check]


def test_each_rule_has_a_step_that_breaks_it():
    broken = {check for check, _ in BROKEN.values()} | {"test_a_service_runs_it"}
    assert broken == {name for name in dir(StepContract) if name.startswith("test")}


def test_a_step_that_a_service_cannot_run_is_found(failed_checks):
    class Confused(PipelineStep):
        name = "confused"

        def process(self, content, context):
            return content.upper() if context.trace_id.startswith("6f1c0f0e") else content

    class Contract(StepContract):
        examples = (("hi", "HI"),)

        def make(self):
            return Confused()

    failed = failed_checks(Contract)
    assert list(failed) == ["test_a_service_runs_it"]
    assert "'hi'" in failed["test_a_service_runs_it"]


def test_a_step_is_answered_by_what_the_contract_says(failed_checks):
    class Contract(AskContract):
        answers = ("no", sample_result("yes"))
        examples = (([1], "no"),)

    assert failed_checks(Contract) == {}


def test_without_an_example_there_is_nothing_to_check(failed_checks):
    class Contract(StepContract):
        def make(self):
            return Count()

    assert "must give `examples`" in failed_checks(Contract)["test_it_makes_of_each_example_what_it_should"]


def test_a_contract_without_make_says_so(failed_checks):
    class Contract(StepContract):
        examples = ((1, 1),)

    assert "must define make(self)" in failed_checks(Contract)["test_its_name_is_an_identifier"]
