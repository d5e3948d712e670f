"""Who may import whom: import-linter's contracts (in the root pyproject.toml), and two rules it cannot express."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

# What a plugin may import from the core: these modules, and of them the names in __all__. Everything else is a room
# of the core's own, free to change in any release.
PUBLIC_MODULES = {"penstock", "penstock.contracts", "penstock.errors", "penstock.schema", "penstock.testing"}


def imports(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Every import of a file: its line, the module, and the names taken from it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, []
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or ""), [alias.name for alias in node.names]


def of_the_core(module: str) -> bool:
    return module == "penstock" or module.startswith("penstock.")


def test_the_contracts_of_import_linter_hold(checkout, capsys):
    status = lint_imports(config_filename=str(checkout / "pyproject.toml"), no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_the_core_imports_its_rooms_by_name(checkout):
    # `from penstock import X` inside the core would pull in every room at once, whatever layer it stands in.
    source = checkout / "core" / "src" / "penstock"
    whole = [
        f"{path.relative_to(checkout)}:{line}"
        for path in source.rglob("*.py")
        for line, module, _ in imports(path)
        if module == "penstock" or module.startswith(".")
    ]
    assert whole == []


def test_plugins_import_only_public_names(checkout):
    private = []
    for path in (*checkout.glob("plugins/*/src/**/*.py"), *checkout.glob("docs/examples/*/*/**/*.py")):
        for line, module, names in imports(path):
            if not of_the_core(module):
                continue
            public = importlib.import_module(module).__all__ if module in PUBLIC_MODULES else ()
            unknown = [name for name in names if name not in public]
            if module not in PUBLIC_MODULES or unknown:
                private.append(f"{path.relative_to(checkout)}:{line} {module} {', '.join(unknown)}")
    assert private == []


@pytest.mark.parametrize("module", sorted(PUBLIC_MODULES))
def test_a_public_module_lists_its_names(module):
    public = importlib.import_module(module)
    assert [name for name in public.__all__ if not hasattr(public, name)] == []
