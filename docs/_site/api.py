"""The API reference: every name in a module's `__all__`, from its docstring, described once where it is best found."""

import importlib
import inspect
import pkgutil
import re
from functools import cache
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging

logger = logging.getLogger(__name__)

CODE_SPAN = re.compile(r"(?<!`)(?P<ticks>`+)(?!`)(?P<code>.+?)(?<!`)(?P=ticks)(?!`)|`+", re.DOTALL)

# A name is described under the first of these that has it; the other pages point there.
CORE = ("penstock", "penstock.errors", "penstock.contracts", "penstock.schema", "penstock.testing")


def home_of(module: str, name: str) -> str:
    """The public module under which `name` of `module` is described."""
    thing = getattr(importlib.import_module(module), name)
    for candidate in CORE:
        home = importlib.import_module(candidate)
        if name in home.__all__ and getattr(home, name) is thing:
            return candidate
    return module


def kind_of(thing: Any) -> str:
    """What autodoc calls this kind of thing; data are what it cannot describe."""
    if isinstance(thing, type):
        return "exception" if issubclass(thing, BaseException) else "class"
    return "function" if inspect.isroutine(thing) else "data"


@cache
def data_docstrings(package: str) -> dict[str, str]:
    """The strings that stand below module-level names, from all modules of a package."""
    root = importlib.import_module(package)
    names = [package, *(found.name for found in pkgutil.walk_packages(root.__path__, f"{package}."))]
    analyzers = [ModuleAnalyzer.for_module(name) for name in names if not name.endswith("__main__")]
    return {
        name: "\n".join(lines)
        for analyzer in analyzers
        for (scope, name), lines in analyzer.find_attr_docs().items()
        if not scope
    }


def in_rst(text: str) -> str:
    """A docstring's Markdown code spans, of any number of backticks, as reStructuredText has them."""

    def literal(span: re.Match[str]) -> str:
        if span["code"] is None:  # backticks that quote nothing
            return "\\`" * len(span[0])
        escaped = re.sub(r"([\\`])", r"\\\1", span["code"].strip())
        joined = span.string[span.end() : span.end() + 1].isalnum()  # as in the plural of a name
        return f":literal:`{escaped}`" + "\\ " * joined

    return CODE_SPAN.sub(literal, text)


def finish_docstring(_app: Sphinx, _what: str, _name: str, _thing: object, _options: object, lines: list[str]) -> None:
    """Turn a docstring that autodoc has read into reStructuredText."""
    lines[:] = in_rst("\n".join(lines)).splitlines()


def first_line(module: ModuleType, name: str) -> str:
    """What `name` is, in one sentence."""
    thing = getattr(module, name)
    if kind_of(thing) == "data":
        text = data_docstrings(module.__name__.partition(".")[0]).get(name, "")
    else:
        text = inspect.getdoc(thing) or ""
    if not text:
        logger.warning("%s.%s is a public name and has no docstring", module.__name__, name)
    return in_rst(text.partition("\n")[0])


def described(module: ModuleType, name: str) -> str:
    """The reStructuredText that describes `name` of `module`."""
    thing = getattr(module, name)
    path = f"{module.__name__}.{name}"
    if kind_of(thing) != "data":
        # Of a suite, its hooks and checks are what one looks for, and most are inherited.
        whole = "   :inherited-members:\n" if name.endswith("Contract") else ""
        return f".. auto{kind_of(thing)}:: {path}\n{whole}"
    text = data_docstrings(module.__name__.partition(".")[0]).get(name, "")
    return f".. py:data:: {path}\n\n" + "\n".join(f"   {line}" for line in in_rst(text).splitlines()) + "\n"


def name(path: str) -> str:
    """The Markdown that describes one thing which is no public name: something one gets and does not import."""
    module, _, last = path.rpartition(".")
    return f"````{{eval-rst}}\n{described(importlib.import_module(module), last)}````\n"


def names_of(name: str) -> str:
    """The Markdown of a module's reference: a table of its names, then each name that is described here."""
    module = importlib.import_module(name)
    names = sorted(module.__all__, key=str.lower)
    homes = {public: home_of(name, public) for public in names}
    rows = [
        f"   * - :py:obj:`{public} <{homes[public]}.{public}>`\n     - {first_line(module, public)}" for public in names
    ]
    table = ".. list-table::\n   :class: names\n   :widths: auto\n\n" + "\n".join(rows)
    here = [described(module, public) for public in names if homes[public] == name]
    return "\n".join(["````{eval-rst}", table, "", *here, "````", ""])
