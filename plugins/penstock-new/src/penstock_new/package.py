"""A package that is not written yet: its files, made of the templates beside this module."""

from __future__ import annotations

import json
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from attrs import define, field, validators
from jinja2 import Environment, PackageLoader, StrictUndefined

import penstock
from penstock import HOOK_API, PenstockError
from penstock_new.kinds import Kind
from penstock_new.names import Name

__all__ = ["LICENCES", "Package"]

LICENCES = ("MIT", "Apache-2.0", "BSD-3-Clause", "none")
"""What a package may be licensed under; "none" keeps all rights."""

SHARED = (
    ("pyproject.toml", "shared/pyproject.toml.jinja"),
    ("README.md", "shared/readme.md.jinja"),
    ("CHANGELOG.md", "shared/changelog.md.jinja"),
    (".gitignore", "shared/gitignore.jinja"),
    (".github/workflows/ci.yml", "shared/ci.yml.jinja"),
    ("src/{module}/__init__.py", "shared/init.py.jinja"),
    ("src/{module}/plugin.py", "shared/plugin.py.jinja"),
    ("src/{module}/py.typed", "shared/empty.jinja"),
    ("src/{module}/{kind}.py", "{kind}/part.py.jinja"),
    ("tests/test_contract.py", "{kind}/contract.py.jinja"),
    ("tests/test_plugin.py", "shared/installed.py.jinja"),
    ("tests/test_readme.py", "shared/readme_runs.py.jinja"),
)


@define(kw_only=True, slots=False)
class Package:
    """A plugin's package. Nothing is written before `write`, and everything is rendered before the first file.

    Attributes:
        kind: what it offers one of.
        name: in all its spellings.
        author: who holds the rights; a line of text.
        year: of the first publication.
        licence: one of `LICENCES`; "none" keeps all rights and has package indexes refuse it.
    """

    kind: Kind
    name: Name
    author: str = field(validator=validators.matches_re(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]+"))
    year: int
    licence: str = field(default="MIT", validator=validators.in_(LICENCES))

    @cached_property
    def files(self) -> dict[str, str]:
        """The text of each file, by its path in the package, with forward slashes."""
        environment = Environment(
            loader=PackageLoader("penstock_new"),
            autoescape=False,  # noqa: S701  # it makes Python and TOML, and no HTML
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.filters["toml"] = _toml
        facts = self._facts()
        places = {"module": self.name.module, "kind": self.kind.name}
        wanted = [*SHARED, *self.kind.files]
        if self.licence != "none":
            wanted.append(("LICENSE", f"licences/{self.licence}.txt"))
        return {
            path.format(**places): environment.get_template(template.format(**places)).render(facts)
            for path, template in wanted
        }

    def write(self, folder: Path) -> None:
        """Write all files into `folder`, which is made if need be.

        Raises PenstockError, and writes nothing, when something is there already.
        """
        self.check(folder)
        for path, text in self.files.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)

    def check(self, folder: Path) -> None:
        """Raise PenstockError unless `folder` is free: not there, or an empty folder."""
        if folder.is_dir():
            if any(folder.iterdir()):
                raise PenstockError(f"{folder} is not empty; name another folder with --output")
        elif folder.exists() or folder.is_symlink():
            raise PenstockError(f"{folder} is no folder; name another one with --output")

    def _facts(self) -> dict[str, Any]:
        """What templates may ask for."""
        class_name = self.name.class_of(self.kind.name, frozenset(penstock.__all__))
        version = metadata.version("penstock").partition("+")[0]  # a local build requires what it was built from
        return {
            "name": self.name,
            "kind": self.kind,
            "class": class_name,
            "settings": f"{class_name.removesuffix(self.kind.name.capitalize())}Settings",
            "table": self.kind.table.format(part=self.name.part),
            "dependencies": sorted(
                ["attrs>=24.2", *(f"{dist}>={version}" for dist in ("penstock", *self.kind.dependencies))]
            ),
            "version": version,
            "hook_api": HOOK_API,
            "author": self.author,
            "year": self.year,
            "licence": self.licence,
        }


def _toml(text: str) -> str:
    """Return `text` as a basic string of TOML, which is one of JSON as long as there are no control characters."""
    return json.dumps(text, ensure_ascii=False)
