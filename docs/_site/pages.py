"""Which pages the site has, where they are, and what it adds to their Markdown when it reads them.

A page says with a comment, which no code host shows, where it wants something: `<!-- site: names penstock.errors -->`.
The picture takes the place of the text figure below its comment. The navigation is the lists of links in
docs/README.md, and each plugin's page gets its public names at the end.
"""

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.project import Project

from _site import api, picture

ROOT = Path(__file__).parents[2]
PATTERNS = ["*.md", "docs/*.md", "docs/*/**.md", "core/README.md", "plugins/*/README.md", "changes/README.md"]
ADDRESSES = {
    "README": "readme",
    "CHANGELOG": "changelog",
    "CONTRIBUTING": "contributing",
    "docs/README": "index",
    "core/README": "plugins/penstock",
    "changes/README": "changes",
}
WISH = re.compile(
    r"^<!-- site: (?P<what>\w+)(?: (?P<of>[\w.]+))? -->\n(?:```text\n.*?^```\n)?", re.MULTILINE | re.DOTALL
)
SECTION = re.compile(r"^## (?P<title>[^\n]+)\n(?P<body>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^(?:-|\d+\.) \[(?P<title>[^\]]+)\]\((?P<target>[^)#]+)\)", re.MULTILINE)


def version() -> str:
    """The version that the workspace is at."""
    text = (ROOT / "core" / "pyproject.toml").read_text()
    return str(tomllib.loads(text)["project"]["version"])


class Pages(Project):
    """The project's pages, at addresses that do not tell in which folder of the workspace they lie."""

    def path2doc(self, filename: str | os.PathLike[str]) -> str | None:
        """Return the address of a page, without its suffix; None for a file that is no page."""
        name = super().path2doc(filename)
        if name is None:
            return None
        return ADDRESSES.get(name) or name.removeprefix("docs/").removesuffix("/README")


def name_pages(app: Sphinx) -> None:
    """Give the site its addresses, before the first page is looked for."""
    app.project = app.env.project = Pages(app.srcdir, app.config.source_suffix)


def navigation(index: str) -> Iterator[str]:
    """The sections of the index that are lists of links, as invisible tables of contents."""
    addresses = Pages(ROOT, [".md"])
    for section in SECTION.finditer(index):
        links = {
            entry["title"]: os.path.normpath(f"docs/{entry['target']}") for entry in ENTRY.finditer(section["body"])
        }
        entries = [f"{title.replace('`', '')} </{addresses.path2doc(path)}>" for title, path in links.items()]
        if entries:
            yield "\n".join(["```{toctree}", ":hidden:", f":caption: {section['title']}", "", *entries, "```", ""])


def granted(wish: re.Match[str], page: str) -> str:
    """The Markdown that a page gets in the place of its comment."""
    match wish["what"], wish["of"]:
        case "picture", None:
            return picture.as_html("" if page == picture.PAGE else f"{picture.PAGE}.html")
        case "names", str(module):
            return api.names_of(module)
        case "name", str(path):
            return api.name(path)
    raise SphinxError(f"the page {page!r} wants what the site does not have: {wish[0]}")


def finish(app: Sphinx, page: str, source: list[str]) -> None:
    """Give a page what its comments ask for, and what every page of its kind gets."""
    text = WISH.sub(lambda wish: granted(wish, page), source[0])
    if page == app.config.root_doc:
        text = "\n".join([text, *navigation(text)])
    elif page.startswith("plugins/penstock-"):
        package = page.removeprefix("plugins/").replace("-", "_")
        text = f"{text}\n## Names of `{package}`\n\n{api.names_of(package)}"
    source[0] = text
