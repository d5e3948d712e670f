"""The house rules that a machine can see; CONTRIBUTING.md says why each is there."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

LINES_OF_A_FILE = 350
LINES_OF_A_FUNCTION = 60

# Spelt in halves, so that this file does not break the rule it checks.
REGISTRY_HOSTS = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "npm" + "js.com",
    "deb." + "debian.org",
    "archive." + "ubuntu.com",
    "ana" + "conda.org",
    "crates" + ".io",
]
FOLDERS_OF_ONE_MACHINE = re.compile(r"(?<![\w.:/<{}-])/(home|root|tmp|work|mnt|Users|private)/\w+")


@pytest.fixture(scope="module")
def files(checkout: Path) -> list[Path]:
    """Every file of the project: tracked, or new and not ignored."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=checkout, capture_output=True, text=True, check=True).stdout.split("\0")
    found = [checkout / name for name in names if name and (checkout / name).is_file()]
    assert found, "git lists no file here"
    return found


@pytest.fixture(scope="module")
def python_files(files: list[Path]) -> list[Path]:
    return [path for path in files if path.suffix == ".py"]


@pytest.fixture(scope="module")
def source_files(python_files: list[Path]) -> list[Path]:
    return [path for path in python_files if "src" in path.parts]


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """The comments of a Python file, by line."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_a_file_answers_one_question_and_stays_short(source_files, checkout):
    lengths = {path.relative_to(checkout): len(path.read_text().splitlines()) for path in source_files}
    assert [f"{path}: {length}" for path, length in lengths.items() if length > LINES_OF_A_FILE] == []


def test_a_function_fits_a_screen(source_files, checkout):
    long = [
        f"{path.relative_to(checkout)}:{node.lineno} {node.name}"
        for path in source_files
        for node in functions(path)
        if node.end_lineno and node.end_lineno - node.lineno >= LINES_OF_A_FUNCTION
    ]
    assert long == []


def test_a_late_import_gives_its_reason(source_files, checkout):
    unexplained = set()
    for path in source_files:
        explained = {line for line, _ in comments(path)}
        for function in functions(path):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom) and not explained & {node.lineno, node.lineno - 1}:
                    unexplained.add(f"{path.relative_to(checkout)}:{node.lineno}")
    assert sorted(unexplained) == []


def test_a_silenced_checker_gives_its_reason(python_files, checkout):
    silenced = re.compile(r"#\s*(type:\s*ignore|noqa)\b")
    reasoned = re.compile(r"#\s*(type:\s*ignore\[[\w, -]+\]|noqa:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*)\s*(#|-+|:)\s*\w")
    bare = [
        f"{path.relative_to(checkout)}:{line} {text}"
        for path in python_files
        for line, text in comments(path)
        if silenced.search(text) and not reasoned.search(text)
    ]
    assert bare == []


def test_nothing_is_left_to_do_in_a_comment(python_files, checkout):
    unfinished = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|HACK)\b")
    left = [
        f"{path.relative_to(checkout)}:{line} {text}"
        for path in python_files
        for line, text in comments(path)
        if unfinished.search(text)
    ]
    assert left == []


def test_no_file_names_a_folder_of_one_machine_or_a_registry(files, checkout):
    named = []
    for path in files:
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        hosts = [host for host in REGISTRY_HOSTS if host in text]
        folders = [match.group() for match in FOLDERS_OF_ONE_MACHINE.finditer(text)]
        named += [f"{path.relative_to(checkout)}: {name}" for name in (*hosts, *folders)]
    assert named == []


def test_versions_are_locked_in_one_place(files):
    assert [path.name for path in files if path.name in {"uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock"}] == []


def test_a_changelog_fragment_is_named_for_its_package_and_kind(files, checkout, projects):
    # changes/README.md has the grammar; whoever assembles the changelog relies on it.
    kinds = "added|changed|deprecated|removed|fixed|security"
    grammar = re.compile(rf"[a-z0-9-]+\.({'|'.join(sorted(projects))}|workspace)\.({kinds})\.md")
    names = [path.name for path in files if path.parent == checkout / "changes" and path.name != "README.md"]
    assert [name for name in names if not grammar.fullmatch(name)] == []
