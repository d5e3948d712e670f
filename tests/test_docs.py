"""What documents promise beyond the code blocks that conftest.py runs: links lead on, blocks name their language."""

import re
from pathlib import Path

import pytest

FENCE = re.compile(r"^ *```(\S*)[^\n]*\n.*?^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")
LANGUAGES = {"python", "sh", "toml", "json", "jsonl", "text", "mermaid", "pycon", "http"}
ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("core/*.md"), *ROOT.glob("plugins/*/*.md")]
)


def anchor(heading: str) -> str:
    """The anchor a heading gets where Markdown is shown: lower case, dashes for spaces, no punctuation."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(document: Path) -> set[str]:
    prose = FENCE.sub("", document.read_text())
    return {anchor(heading) for heading in re.findall(r"^#+ +(.+)$", prose, re.MULTILINE)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(document):
    prose = FENCE.sub("", document.read_text())
    broken = []
    for target in LINK.findall(prose):
        if re.match(r"\w+:", target):
            continue
        name, _, fragment = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        if not path.exists() or (fragment and fragment not in anchors(path)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_code_block_says_what_it_is(document):
    # A block in a language nobody knows is a block nobody runs.
    assert set(FENCE.findall(document.read_text())) <= LANGUAGES


def test_there_are_documents_to_check():
    assert ROOT / "README.md" in DOCUMENTS


def test_the_config_file_that_the_readme_shows_is_the_one_in_examples():
    shown = re.findall(r"^```toml\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert shown == [(ROOT / "examples" / "penstock.toml").read_text()]


def test_decisions_are_numbered_without_gaps_and_say_what_each_must():
    decisions = sorted(DOCS.glob("decisions/*.md"))
    assert [int(page.name[:4]) for page in decisions] == list(range(1, len(decisions) + 1))
    for page in decisions:
        text = page.read_text()
        assert re.match(rf"# {int(page.name[:4])}\. .+\n\nDate: \d{{4}}-\d\d-\d\d\. Status: \w+", text), page.name
        assert re.findall("^## (Situation|Decision|Consequences|Considered)$", text, re.MULTILINE) == [
            *("Situation", "Decision", "Consequences", "Considered")
        ], page.name


def test_every_page_is_in_the_index():
    index = DOCS / "README.md"
    linked = {(DOCS / target.partition("#")[0]).resolve() for target in LINK.findall(index.read_text())}
    assert [str(page.relative_to(ROOT)) for page in DOCS.rglob("*.md") if page != index and page not in linked] == []
