"""The site: it builds without a warning, leads nowhere wrong, fetches nothing, and describes every public name.

The build runs once, as `python3 dev.py docs` does it, and every test reads what it left.
"""

import importlib
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import attrs
import pytest

from penstock import EventTimestamps

ROOT = Path(__file__).parents[1]
PICTURE = tomllib.loads((ROOT / "docs" / "the-request-path.toml").read_text())
STRICT = runpy.run_path(str(ROOT / "dev.py"))["SPHINX"]
CORE = {
    "penstock": "penstock",
    "penstock.contracts": "contracts",
    "penstock.errors": "errors",
    "penstock.schema": "schema",
    "penstock.testing": "testing",
}
MODULES = {module: f"reference/api/{page}.html" for module, page in CORE.items()}
MODULES |= {
    path.parent.name.replace("-", "_"): f"plugins/{path.parent.name}.html"
    for path in ROOT.glob("plugins/*/pyproject.toml")
}


class Page(HTMLParser):
    """A page's anchors, its links and forms, and what a browser would fetch to show it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.anchors, self.links, self.forms, self.fetched = set(), set(), set(), set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attributes}
        self.anchors |= {has[name] for name in ("id", "name") if name in has}
        self.links |= {has[name] for name in ("href", "src") if name in has}
        self.forms |= {has["action"]} if tag == "form" else set()
        if tag in {"script", "img", "iframe", "source", "video", "audio", "link", "object", "embed"}:
            self.fetched |= {has[name] for name in ("href", "src", "data") if name in has}


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", *STRICT, "--conf-dir", source / "docs", source, target]
    return subprocess.run([str(part) for part in command], cwd=source, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    if done.returncode:
        pytest.fail(f"the site does not build:\n{done.stdout}{done.stderr}", pytrace=False)
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_the_site_builds_without_a_warning(site):
    assert (site / "index.html").is_file()


def test_a_broken_link_fails_the_build(tmp_path):
    for name in ("docs/conf.py", "docs/the-request-path.toml", "core/pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "docs" / "_site", tmp_path / "docs" / "_site")
    (tmp_path / "docs" / "README.md").write_text("# Index\n\nHere is [more](gone.md) and [less](#nowhere).\n")
    done = build(tmp_path, tmp_path / "out")
    assert done.returncode == 1
    assert "gone.md" in done.stderr
    assert "nowhere" in done.stderr


def test_every_page_of_the_project_is_in_the_site(site):
    for page in ("readme", "changelog", "contributing", "tutorial", "decisions/0001-workspace-and-locking"):
        assert (site / f"{page}.html").is_file(), page
    assert [page for page in MODULES.values() if not (site / page).is_file()] == []


def test_links_and_their_anchors_lead_somewhere(pages, site):
    broken = []
    for page in pages.values():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            path = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            known = path in pages and parts.fragment and parts.fragment not in {"", *pages[path].anchors}
            if not path.exists() or known:
                broken.append(f"{page.path.relative_to(site)}: {link}")
    assert broken == []


def test_no_page_fetches_anything_from_elsewhere(pages, site):
    elsewhere = re.compile(r"^(\w+:)?//")
    fetched = {link for page in pages.values() for link in page.fetched if elsewhere.match(link)}
    styles = [
        path for path in site.rglob("*.css") if re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", path.read_text())
    ]
    assert (fetched, styles) == (set(), [])


def test_every_page_has_the_search_whose_index_is_in_the_site(pages, site):
    for page in pages.values():
        (target,) = page.forms
        assert (page.path.parent / target).resolve() == site / "search.html" or page.path.name == "search.html"
    assert "GenerationRequest" in (site / "searchindex.js").read_text()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_public_name_is_described(pages, site, module):
    page = pages[site / MODULES[module]]
    targets = {link.partition("#")[2] for link in page.links}
    missing = [
        name for name in importlib.import_module(module).__all__ if not any(t.endswith(f".{name}") for t in targets)
    ]
    assert missing == []


def test_names_are_described_once(pages):
    described = [
        anchor for page in pages.values() for anchor in page.anchors if re.fullmatch(r"penstock(_\w+)?\.\w+", anchor)
    ]
    assert sorted(described) == sorted(set(described))


# ---------------------------------------------------------------- the picture of the request's path


def test_every_stage_of_the_picture_is_a_function_of_the_code():
    for stage in (*PICTURE["stage"], PICTURE["again"]):
        module, _, path = stage["code"].partition(":")
        thing = importlib.import_module(module)
        for part in path.split("."):
            thing = getattr(thing, part)
        assert callable(thing)


def test_the_picture_has_every_timestamp_in_the_order_in_which_they_are_passed():
    drawn = [stamp for stage in PICTURE["stage"] for stamp in stage.get("stamps", ())]
    assert drawn == [field.name for field in attrs.fields(EventTimestamps)]


def test_the_picture_and_the_text_figure_name_the_same_functions():
    page = (ROOT / "docs" / "the-request-path.md").read_text()
    figure = page.partition("<!-- site: picture -->\n```text\n")[2].partition("```")[0]
    names = [stage["code"].partition(":")[2] for stage in (*PICTURE["stage"], PICTURE["again"])]
    shown = [name.removeprefix("Engine.").removeprefix("Service.").removeprefix("Flight.") for name in names]
    assert [name for name in shown if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", figure)] == []


def test_the_picture_is_drawn_on_its_page_and_on_the_first(site):
    for page in ("index", "the-request-path"):
        drawn = re.search(r"<figure>\s*<svg.*?</svg>", (site / f"{page}.html").read_text(), re.DOTALL)
        assert drawn
        assert all(stamp in drawn[0] for stage in PICTURE["stage"] for stamp in stage.get("stamps", ()))
