"""Server-sent events: the format, the bounds, and that splitting the bytes changes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_http import Event, EventParser, EventTooLargeError


def parse(*parts: bytes, **options) -> list[Event]:
    parser = EventParser(**options)
    return [event for part in parts for event in parser.feed(part)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b'data: {"a":1}\n\n', [Event('{"a":1}')]),
        (b"data: one\n\ndata: two\n\n", [Event("one"), Event("two")]),
        (b"data: one\r\n\r\ndata: two\r\n\r\n", [Event("one"), Event("two")]),
        (b"data: one\r\rdata: two\r\r", [Event("one"), Event("two")]),
        (b"\xef\xbb\xbfdata: one\n\n", [Event("one")]),
        (b"data: one\n\xef\xbb\xbfdata: two\n\n", [Event("one")]),
        (b"data: a\ndata: b\ndata\ndata:\n\n", [Event("a\nb\n\n")]),
        (b"data:no space\n\n", [Event("no space")]),
        (b"data:  two spaces\n\n", [Event(" two spaces")]),
        (b": comment\n\n:\n\ndata: x\n: another\n\n", [Event("x")]),
        (b"event: ping\n\ndata: x\n\n", [Event("x")]),
        (b"event: delta\ndata: x\n\ndata: y\n\n", [Event("x", "delta"), Event("y")]),
        (b"id: 7\ndata: x\n\ndata: y\n\nid\ndata: z\n\n", [Event("x", id="7"), Event("y", id="7"), Event("z")]),
        (b"id: a\0b\ndata: x\n\n", [Event("x")]),
        (b"retry: 1500\ndata: x\n\nretry: soon\ndata: y\n\n", [Event("x", retry=1500), Event("y")]),
        (b"unknown: 1\nnonsense\ndata: x\n\n", [Event("x")]),
        ("data: grüße €\n\n".encode(), [Event("grüße €")]),
        (b"data: \xff\n\n", [Event("�")]),
        (b"data: unfinished\n", []),
        (b"data: \n\n", [Event("")]),
        (b"", []),
    ],
)
def test_the_format(stream, events):
    assert parse(stream) == events
    assert parse(*(bytes([byte]) for byte in stream)) == events


LINES = st.sampled_from(
    [
        b"data: {}",
        b"data:x",
        b"data",
        "data: é€😀".encode(),
        b"event: e",
        b"id: 1",
        b"retry: 5",
        b": c",
        b"",
        b"",
        b"\xff",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
STREAMS = st.builds(
    lambda bom, lines: (b"\xef\xbb\xbf" if bom else b"") + b"".join(line + end for line, end in lines),
    st.booleans(),
    st.lists(st.tuples(LINES, ENDS), max_size=20),
)


@given(STREAMS, st.data())
def test_any_split_of_the_bytes_gives_the_same_events(stream, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    parts = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert parse(*parts) == parse(stream)


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_no_bytes_raise(parts):
    assert parse(*parts) == parse(b"".join(parts))


@pytest.mark.parametrize(
    "parts",
    [
        [b"data: " + b"x" * 200],
        [b"data: " + b"x" * 200 + b"\n\n"],
        [b"x" * 30] * 10,
        [b"data: " + b"x" * 20 + b"\n"] * 10,
        [b"data\n"] * 200,
        [b": " + b"x" * 200],
    ],
)
def test_an_event_is_bounded_however_it_grows(parts):
    with pytest.raises(EventTooLargeError, match="100 bytes"):
        parse(*parts, max_event=100)


def test_a_stream_is_not_bounded():
    assert len(parse(*[b"data: " + b"x" * 80 + b"\n\n"] * 100, max_event=100)) == 100


def test_the_events_of_a_fed_piece_are_there_at_once():
    parser = EventParser()
    assert parser.feed(b"data: a\n\ndata: b") == [Event("a")]
    assert parser.feed(b"\n\n") == [Event("b")]
    assert parser.feed(b"data: c\r\n\r") == [Event("c")]
    assert parser.feed(b"\n") == []


def test_what_is_no_field_of_an_event_is_kept_apart_as_far_as_it_goes():
    parser = EventParser()
    assert [event.data for event in parser.feed(b'data: x\n\n: a remark\nretry: soon\n{\r\n  "error": 1\n}')] == ["x"]
    assert parser.stray == '{\n  "error": 1\n}'
    parser.feed(b"y" * 100_000 + b"\n")
    assert parser.stray == '{\n  "error": 1\n'
