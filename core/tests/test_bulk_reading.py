"""Bytes to lines: whatever the chunks, in bounded memory."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.bulk.reading import UNREADABLE, Input, LineSplitter, RawLine

pytestmark = pytest.mark.anyio


@given(st.binary(max_size=300).map(lambda text: text.replace(b"a", b"\n")), st.lists(st.integers(0, 40), max_size=30))
def test_lines_do_not_depend_on_how_the_bytes_arrive(text, sizes):
    splitter, lines, rest = LineSplitter(20), [], text
    for size in sizes:
        lines += splitter.feed(rest[:size])
        rest = rest[size:]
    lines += splitter.feed(rest) + splitter.end()
    pieces = text.split(b"\n")
    if not pieces[-1]:
        pieces.pop()
    expected = [
        RawLine(number, piece if len(piece) <= 20 else None, len(piece)) for number, piece in enumerate(pieces, start=1)
    ]
    assert lines == expected


def test_a_line_of_40_mb_is_skipped_to_its_newline_and_never_held():
    splitter = LineSplitter(1_000_000)
    most = 0
    for _ in range(640):
        assert splitter.feed(b"x" * 65_536) == []
        most = max(most, sum(map(len, splitter._pieces)))
    lines = splitter.feed(b"\nnext\n")
    assert lines == [RawLine(1, None, 640 * 65_536), RawLine(2, b"next", 4)]
    assert most <= 1_000_000


async def test_a_gzip_file_is_recognised_whatever_its_name(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(gzip.compress(b"one\ntwo"))
    source = Input.open(str(path))
    lines = []
    while (batch := await source.next_lines()) is not None:
        lines += batch
    assert [raw.text for raw in lines] == [b"one", b"two"]
    assert source.count() is None
    source.close()


async def test_a_torn_gzip_file_gives_its_lines_and_then_an_error(tmp_path):
    path = tmp_path / "in.jsonl.gz"
    path.write_bytes(gzip.compress(b"one\n" * 100_000)[:-20])
    source = Input.open(str(path))
    lines = 0
    with pytest.raises(UNREADABLE):  # noqa: PT012  # the error comes after lines, and how many is the point
        while (batch := await source.next_lines()) is not None:
            lines += len(batch)
    assert lines > 50_000
    source.close()


@pytest.mark.parametrize(("text", "lines"), [(b"", 0), (b"one", 1), (b"one\n", 1), (b"one\n\ntwo", 3)])
def test_lines_are_counted_in_advance(tmp_path, text, lines):
    path = tmp_path / "in.jsonl"
    path.write_bytes(text)
    source = Input.open(str(path))
    assert source.count() == lines
    source.close()
