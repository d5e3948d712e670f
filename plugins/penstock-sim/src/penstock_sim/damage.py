"""What the faults that spoil an answer do to it, in any wire format."""

from collections.abc import Callable

from attrs import evolve

from penstock_sim.exchange import Ending, HttpAnswer
from penstock_sim.faults import Damage


def spoil(
    answer: HttpAnswer,
    damage: Damage,
    *,
    delay_s: float,
    error_event: Callable[[int], bytes],
    oversized_bytes: int,
) -> HttpAnswer:
    """Do damage to a good answer.

    `delay_s` is what `SLOW` adds, `error_event` makes the wire format's own event that
    comes after a number of others, and `oversized_bytes` is how much padding
    `OVERSIZED` adds. Where there is no stream, half of the body stands for half of the events.
    """
    whole = sum(map(len, answer.parts))
    match damage:
        case Damage.SLOW:
            return evolve(answer, delay_s=answer.delay_s + delay_s)
        case Damage.STALL:
            return evolve(answer, parts=_half(answer), content_length=whole, ending=Ending.STALL)
        case Damage.TORN:
            return evolve(answer, parts=_torn(_half(answer)), content_length=whole, ending=Ending.TEAR)
        case Damage.CLOSE:
            return evolve(answer, ending=Ending.ABANDON)
        case Damage.RESET:
            return evolve(answer, ending=Ending.RESET)
        case _:
            return evolve(answer, parts=_spoiled_parts(answer, damage, error_event, oversized_bytes))


def _spoiled_parts(
    answer: HttpAnswer, damage: Damage, error_event: Callable[[int], bytes], oversized_bytes: int
) -> tuple[bytes, ...]:
    """Spoil what is said, where HTTP itself stays in order."""
    half = _half(answer)
    match damage:
        case Damage.EMPTY:
            return ()
        case Damage.UNFINISHED:
            return half
        case Damage.ERROR_EVENT:
            return (*half, error_event(len(half)))
        case Damage.MALFORMED if answer.stream:
            return (*half[:-1], _torn(half)[-1].rstrip() + b"\n\n", *answer.parts[len(half) :])
        case Damage.MALFORMED:
            return half
        case Damage.OVERSIZED if answer.stream:  # a comment line, which a parser has to skip
            return (answer.parts[0], b":" + b" " * oversized_bytes + b"\n\n", *answer.parts[1:])
        case Damage.OVERSIZED:  # white space, which is valid after a JSON document
            return (*answer.parts, b" " * oversized_bytes)
        case _:
            raise TypeError(f"{damage} is not done to the parts")


def _half(answer: HttpAnswer) -> tuple[bytes, ...]:
    """Take the first half: of the events (at least one), or of the body."""
    if answer.stream:
        return answer.parts[: max(1, len(answer.parts) // 2)]
    return (answer.parts[0][: len(answer.parts[0]) // 2],)


def _torn(parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Cut the last part in the middle."""
    return (*parts[:-1], parts[-1][: len(parts[-1]) // 2])
