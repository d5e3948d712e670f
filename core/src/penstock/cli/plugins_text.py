"""What `penstock plugins` prints for people: a table of everything, or the details of a few, in 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from textwrap import wrap

from penstock.cli.checkup import Checkup, one_line
from penstock.registry import Option, PartInfo, PluginInfo, concerns_of

__all__ = ["details", "overview"]

WIDTH = 80
"""Columns. Only what cannot be broken is longer: a path, a URL, the name of a package."""

HEADINGS = ("PLUGIN", "PACKAGE", "LOAD", "OFFERS")

whole_words = partial(wrap, break_long_words=False, break_on_hyphens=False)

NARROWEST = 24
"""The fewest columns that the last cell of a row is wrapped to."""


def overview(found: Checkup) -> Iterator[str]:
    """Yield the lines about everything that is installed."""
    yield from _table([HEADINGS, *(_row(info) for info in found.plugins)])
    yield from _section("Providers", _table([(f"  {name}", _about(found, name)) for name in found.providers]))
    yield from _section("Commands", _table([(f"  {name}", dist) for name, dist in sorted(found.commands.items())]))
    yield from _broken(found)
    yield from _section("Worth knowing", _concerns(found))


def details(found: Checkup) -> Iterator[str]:
    """Yield the lines about a few plugins and parts, with every option."""
    blocks = [*map(_plugin_block, found.plugins), *_part_blocks(found)]
    for number, block in enumerate(blocks):
        yield from ([""] if number else [])
        yield from block
    yield from _broken(found)
    yield from _section("Worth knowing", _concerns(found))


def _row(info: PluginInfo) -> tuple[str, ...]:
    offers = "\n".join(f"{kind} {', '.join(names)}" for kind, names in info.offers.items() if names)
    return info.name, info.package or "-", f"{info.load_ms:.0f} ms", "FAILED" if info.error else offers


def _about(found: Checkup, provider: str) -> str:
    known = found.providers[provider]
    if known.usable:
        return known.about
    broken = any(part.problems for part in found.parts if (part.kind, part.name) == ("provider", provider))
    return "cannot be used, see below" if broken else f"not usable yet: {known.about}"


# ---------------------------------------------------------------- what is wrong


def _broken(found: Checkup) -> Iterator[str]:
    """Yield everything that is broken, each under the heading of what it means."""
    failed = [info for info in found.plugins if info.error is not None]
    yield from _section("Failed to load", (line for info in failed for line in _failure(info)))
    yield from _section("Offered twice, so that neither can be used", map(one_line, found.conflicts), wrapped=True)
    contested = set(found.conflicts)
    problems = [_of(part, problem) for part in found.parts for problem in part.problems if problem not in contested]
    yield from _section("Parts that cannot be used", problems, wrapped=True)
    if found.source is not None:
        heading = f"Would fail, as {found.source} has it"
        yield from _section(heading, map(one_line, found.config_problems), wrapped=True)
        if not found.config_problems:
            yield from ("", f"Nothing in {found.source} would fail.")


def _failure(info: PluginInfo) -> Iterator[str]:
    yield from _wrapped(f"{info.label}: {one_line(info.error)}", "  ")
    yield from _wrapped(one_line(info.remedy), "    ")


def _of(part: PartInfo, problem: str) -> str:
    """Return a problem under the name of its part; what the registry words names it itself."""
    line = one_line(problem)
    return line if line.startswith(part.owner) else f"{part.owner}: {part.kind} {part.name!r}: {line}"


def _concerns(found: Checkup) -> Iterator[str]:
    for info in found.plugins:
        for concern in concerns_of(info):
            yield from _wrapped(f"{info.label}: {concern}", "  ")
    for part in found.parts:
        for concern in part.concerns:
            yield from _wrapped(_of(part, concern), "  ")


# ---------------------------------------------------------------- one plugin, one part


def _plugin_block(info: PluginInfo) -> Iterator[str]:
    yield f"plugin {info.name}"
    api = "not declared" if info.api is None else str(info.api)
    rows = [
        ("package", info.package or "-"),
        ("module", info.module or "-"),
        ("file", info.origin or "-"),
        ("hooks", ", ".join(info.hooks) or "-"),
        ("hook API", api),
        ("load time", f"{info.load_ms:.1f} ms: import {info.import_ms:.1f}, hooks {info.hook_ms:.1f}"),
    ]
    yield from _table([(f"  {name}", text) for name, text in rows])


def _part_blocks(found: Checkup) -> Iterator[Iterable[str]]:
    """Yield a block for each part, but one for neighbours that take the same options."""
    for _, group in groupby(found.parts, key=lambda part: (part.kind, part.owner, part.options, part.problems)):
        yield _part_block(list(group), found)


def _part_block(parts: Sequence[PartInfo], found: Checkup) -> Iterator[str]:
    for part in parts:
        yield from _wrapped(f"{part.kind} {part.name}" + (f": {one_line(part.summary)}" if part.summary else ""), "")
        rows = [("  made by", part.factory)]
        if part.settings is not None:
            rows.append(("  settings", part.settings))
        if part.kind == "provider" and part.name in found.providers:
            rows.append(("  now", _about(found, part.name)))
        yield from _table(rows)
    first = parts[0]
    if first.owner not in {info.label for info in found.plugins}:
        yield f"  from {first.owner}"
    if first.options:
        yield ""
        yield from _table([("  OPTION", "DEFAULT", "TYPE"), *map(_option_row, first.options)])
    elif not first.problems:
        yield "  takes no options"
    if first.open_ended:
        yield "  and any other option"


def _option_row(option: Option) -> tuple[str, ...]:
    default = "required" if option.required else option.default or ("not shown" if option.secret else "-")
    return f"  {option.name}", default, option.type


# ---------------------------------------------------------------- lines


def _section(heading: str, lines: Iterable[str], *, wrapped: bool = False) -> Iterator[str]:
    """Yield the lines under a heading, or nothing where there are none."""
    shown = [piece for line in lines for piece in (_wrapped(line, "  ") if wrapped else [line])]
    if shown:
        yield from ("", heading, *shown)


def _wrapped(text: str, indent: str) -> list[str]:
    return whole_words(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ")


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the rows in columns as wide as their widest cell; the last is wrapped to what is left."""
    if not rows:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    room = max(WIDTH - sum(width + 2 for width in widths), NARROWEST)
    for row in rows:
        *cells, last = row
        pieces = [piece for line in last.split("\n") for piece in whole_words(line, room) or [""]]
        for number, piece in enumerate(pieces):
            front = cells if number == 0 else [""] * len(cells)
            padded = [cell.ljust(width) for cell, width in zip(front, widths, strict=True)]
            yield "  ".join([*padded, piece]).rstrip()
