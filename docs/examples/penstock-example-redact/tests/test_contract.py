"""The contract that penstock holds every step to, and what this one does of its own."""

import time

import pytest
from penstock import StepError
from penstock.testing import StepContract, step_context

from penstock_example_redact import RedactSettings, RedactStep


def redacted(content: object, settings: RedactSettings | None = None) -> object:
    return RedactStep(settings).process(content, step_context(content))


class TestRedactStep(StepContract):
    examples = (
        ("Ask ann@lake.example.", "Ask [email]."),
        ("No address at all.", "No address at all."),
        ({"who": ["bob@lake.example", 7]}, {"who": ["[email]", 7]}),
    )
    failures = (b"bytes", object)

    def make(self) -> RedactStep:
        return RedactStep()


@pytest.mark.parametrize(
    "address", ["ann@lake.example", "ann.o-neil+gate@mail.lake.example", "ANN@LAKE.EXAMPLE", "jörg@müller.example"]
)
def test_addresses_are_masked(address: str) -> None:
    assert redacted(f"Write to <{address}>, please.") == "Write to <[email]>, please."


@pytest.mark.parametrize(
    "number", ["+49 30 123456", "+1 (555) 123-4567", "030/123456", "(555) 123-4567", "0049 30 12 34 56", "+4930123456"]
)
def test_numbers_are_masked(number: str) -> None:
    assert redacted(f"Call {number}, please.") == "Call [phone], please."


@pytest.mark.parametrize(
    "text",
    [
        "It is 1,234.56 deep.",
        "On 2026-11-20 at 10:30.",
        "Order 1234567890.",
        "3 * (4 + 5)",
        "@home",
        "a@b",
        "0.5 to 0.75",
        "v1.2.3",
    ],
)
def test_what_is_neither_stays(text: str) -> None:
    assert redacted(text) == text


def test_each_can_be_left_and_masks_can_be_chosen() -> None:
    text = "ann@lake.example, +49 30 123456"
    assert redacted(text, RedactSettings(emails=False)) == "ann@lake.example, [phone]"
    assert redacted(text, RedactSettings(phones=False, email_mask=r"\g<0>")) == r"\g<0>, +49 30 123456"


def test_data_that_is_nested_for_ever_fails() -> None:
    content: list[object] = []
    content.append(content)
    with pytest.raises(StepError, match="nested"):
        redacted(content)


@pytest.mark.parametrize(
    "text", ["x" * 1_000_000, "1" * 1_000_000, "a.b@" * 250_000, "+1 (" * 250_000, "x@y." * 250_000]
)
def test_a_megabyte_takes_no_longer_than_its_length(text: str) -> None:
    began = time.perf_counter()
    redacted(text)
    assert time.perf_counter() - began < 5.0
