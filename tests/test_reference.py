"""The pages that repeat what the code says, compared with the code: no name, type or default changes in one only."""

import argparse
import ast
import inspect
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

import penstock.contracts
import penstock.hookspecs
from penstock import ConcurrencyGate, ErrorType, EventTimestamps, RetryPolicy, RpmGate, TpmGate
from penstock.builtin.jsonl_sink import JsonlSink
from penstock.builtin.log_sink import LogSink
from penstock.cli import plugins as cli_plugins
from penstock.cli import run as cli_run
from penstock.config import ServiceSettings
from penstock.config import _Price as Price

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
HOOKS_PAGE = DOCS / "reference" / "hooks.md"
CONFIGURATION_PAGE = DOCS / "reference" / "configuration.md"
CLI_PAGE = DOCS / "reference" / "cli.md"


def section(page: Path, heading: str) -> str:
    """The text under a heading, down to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{page.name} has no heading {heading!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of the one table in a text, its head left out; backticks and escapes of the bar are taken off."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines[2:]]
    return [[cell.replace("\\|", "|").strip("`") for cell in row] for row in cells]


# ---------------------------------------------------------------- hooks and contracts


def stubs() -> dict[str, ast.AST]:
    """The functions and classes that the reference page declares, by name."""
    blocks = re.findall(r"^```python\n(.*?)^```$", HOOKS_PAGE.read_text(), re.MULTILINE | re.DOTALL)
    nodes = [node for block in blocks for node in ast.parse(block).body]
    return {node.name: node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def source_of(module: types.ModuleType) -> dict[str, ast.AST]:
    nodes = ast.parse(inspect.getsource(module)).body
    return {node.name: node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def is_public(name: str) -> bool:
    return not name.startswith("_") or name == "_invoke_impl"


def interface(node: ast.AST) -> list[str]:
    """What a class or function promises: decorators, signatures, docstrings and annotated attributes, no bodies."""
    lines = []
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        marks = [ast.unparse(each) for each in node.decorator_list]
        decorators = "".join(f"@{mark} " for mark in marks if mark != "hookspec")
        kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        lines.append(f"{decorators}{kind} {node.name}({ast.unparse(node.args)}){returns}")
        lines.append(ast.get_docstring(node) or "")
    elif isinstance(node, ast.ClassDef):
        lines.append(f"class {node.name}({', '.join(ast.unparse(base) for base in node.bases)})")
        lines.append(ast.get_docstring(node) or "")
        for each in node.body:
            if isinstance(each, ast.AnnAssign) and is_public(ast.unparse(each.target)):
                lines.append(ast.unparse(each))
            elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and is_public(each.name):
                lines += interface(each)
    return lines


HOOKS = [name for name in penstock.hookspecs.__all__ if name.startswith("penstock_")]
CONTRACTS = [name for name in penstock.contracts.__all__ if inspect.isclass(getattr(penstock.contracts, name))]


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_on_the_reference_page_as_it_is_in_the_code(name):
    assert name in stubs(), f"{HOOKS_PAGE.name} does not describe the hook {name}"
    assert interface(stubs()[name]) == interface(source_of(penstock.hookspecs)[name])


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_is_on_the_reference_page_as_it_is_in_the_code(name):
    assert name in stubs(), f"{HOOKS_PAGE.name} does not describe {name}"
    assert interface(stubs()[name]) == interface(source_of(penstock.contracts)[name])


def test_the_reference_page_describes_nothing_that_is_not_there():
    assert sorted(stubs()) == sorted([*HOOKS, *CONTRACTS])


# ---------------------------------------------------------------- the request's path


def test_the_table_of_error_types_is_the_enum():
    table = rows(section(DOCS / "the-request-path.md", "Error types"))
    assert [(name, value, retried, remedy) for name, value, retried, _, remedy in table] == [
        (each.name, each.value, "yes" if each.retryable else "no", each.remedy) for each in ErrorType
    ]


def test_the_table_of_timestamps_has_every_point_in_order():
    table = rows(section(DOCS / "the-request-path.md", "Timestamps"))
    assert [row[0] for row in table] == [field.name for field in attrs.fields(EventTimestamps)]


def test_the_page_names_only_functions_of_the_engine_and_of_what_it_calls():
    text = (DOCS / "the-request-path.md").read_text()
    named = {name.rpartition(".")[2] for name in re.findall(r"^##+ `([\w.]+)`", text, re.MULTILINE)}
    named |= {row[1].rpartition(".")[2] for row in rows(section(DOCS / "the-request-path.md", "Timestamps"))}
    modules = ("admission", "engine", "flight", "forecast", "ledger", "retry", "turns")
    source = "".join((ROOT / f"core/src/penstock/{name}.py").read_text() for name in modules)
    assert [name for name in sorted(named) if not re.search(rf"^ *(async )?def {name}\(", source, re.MULTILINE)] == []


# ---------------------------------------------------------------- configuration

WORDS = {str: "string", int: "whole number", float: "number", bool: "boolean", typing.Any: "any"}


def type_word(kind: typing.Any) -> str:
    """How the page speaks of a type: None says "may be left out", so it has no word."""
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(f'"{choice}"' for choice in typing.get_args(kind))
    members = [member for member in typing.get_args(kind) if member is not types.NoneType]
    if members:
        return type_word(members[0])
    return "table" if attrs.has(kind) else WORDS.get(kind, "number")


def default_word(default: object) -> str:
    if default is attrs.NOTHING or default is inspect.Parameter.empty:
        return "required"
    if default is None:
        return "none"
    if isinstance(default, bool):
        return str(default).lower()
    return f'"{default}"' if isinstance(default, str) else f"{default:g}"


def keys_of_class(kind: type) -> Iterator[tuple[str, str, str]]:
    hints = typing.get_type_hints(kind)
    for field in attrs.fields(kind):
        is_table = attrs.has(hints[field.name])
        yield field.name, type_word(hints[field.name]), "see below" if is_table else default_word(field.default)


def keys_of_factory(factory: typing.Any) -> Iterator[tuple[str, str, str]]:
    hints = typing.get_type_hints(factory.__init__)
    for name, parameter in inspect.signature(factory).parameters.items():
        yield name, type_word(hints[name]), default_word(parameter.default)


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("`[service]`", keys_of_class(ServiceSettings)),
        ("`[service.retry]`", keys_of_class(RetryPolicy)),
        ("`rpm`", keys_of_factory(RpmGate)),
        ("`tpm`", keys_of_factory(TpmGate)),
        ("`concurrency`", keys_of_factory(ConcurrencyGate)),
        ("`log`", keys_of_factory(LogSink)),
        ("`jsonl`", keys_of_factory(JsonlSink)),
        ("`[costs]`", keys_of_class(Price)),
    ],
)
def test_every_key_of_the_configuration_is_on_its_page_with_type_and_default(heading, keys):
    assert [tuple(row[:3]) for row in rows(section(CONFIGURATION_PAGE, heading))] == list(keys)


def test_every_environment_variable_is_on_the_page():
    named = set()
    for path in [*ROOT.glob("core/src/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named |= set(re.findall(r"^(?:PENSTOCK|OPENAI)_[A-Z_]+$", node.value))
    table = rows(section(CONFIGURATION_PAGE, "Environment variables"))
    assert named <= {row[0] for row in table}


# ---------------------------------------------------------------- the command line


@pytest.mark.parametrize(("heading", "module"), [("`penstock run`", cli_run), ("`penstock plugins`", cli_plugins)])
def test_every_option_of_a_command_is_on_the_page(heading, module):
    parser = argparse.ArgumentParser()
    module.configure(parser)
    options = []
    for action in parser._actions:
        if "-h" not in action.option_strings:
            spelt = ", ".join(action.option_strings)
            metavar = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
            options.append(f"{spelt} {metavar}".strip())
    assert [row[0] for row in rows(section(CLI_PAGE, heading))] == options


# ---------------------------------------------------------------- failures


def test_each_failure_of_the_catalogue_is_guarded_by_a_test_that_exists():
    tests = [*ROOT.glob("core/tests/**/test_*.py"), *ROOT.glob("plugins/*/tests/test_*.py"), *ROOT.glob("tests/*.py")]
    names = set(re.findall(r"^(?:async )?def (test_\w+)", "\n".join(path.read_text() for path in tests), re.MULTILINE))
    page = (DOCS / "failures.md").read_text()
    assert len(re.findall(r"^## \d+\. ", page, re.MULTILINE)) == 16
    entries = re.split(r"^## \d+\. ", page, flags=re.MULTILINE)[1:]
    guards = [set(re.findall(r"`(test_\w+)`", entry)) for entry in entries]
    assert all(guards), "an entry names no test"
    assert sorted(set().union(*guards) - names) == []
