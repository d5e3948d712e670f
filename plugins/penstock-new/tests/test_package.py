"""What is made is good at once: its own tests pass, ruff and mypy are content, penstock lists it."""

import json
import tomllib
from email.parser import Parser

import pytest

from penstock import PenstockError
from penstock.registry import load_registry
from penstock_new import KINDS, LICENCES, Name, Package
from penstock_new.taken import BUILT_IN

LONGEST = "abcdefghijklmnopqrstuv"


@pytest.fixture(scope="module", params=KINDS)
def made(request, make):
    return make(request.param, f"my {request.param} of mine")


def package(kind: str = "step", *, author: str = "Ada Lovelace", licence: str = "MIT") -> Package:
    return Package(kind=KINDS[kind], name=Name.of("shout"), author=author, year=2026, licence=licence)


# ---------------------------------------------------------------- at once


def test_its_own_tests_pass(made):
    done = made.run("pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


def test_ruff_has_nothing_to_say(made):
    for command in ("check", "format --check"):
        done = made.run("ruff", *command.split(), "--no-cache")
        assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_is_content_and_strict(made, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "mypy"
    done = made.run("mypy", "--cache-dir", str(cache))
    assert done.returncode == 0, done.stdout + done.stderr


def test_penstock_lists_it_with_its_options(made, request):
    kind = request.node.callspec.params["made"]
    done = made.run("penstock", "plugins", f"my_{kind}_of_mine", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    (plugin,) = report["plugins"]
    assert (plugin["dist"], plugin["error"], plugin["concerns"]) == (f"penstock-my-{kind}-of-mine", None, [])
    (part,) = report["parts"]
    assert part["kind"] == kind
    assert part["options"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_name_fits(make, kind):
    assert len(Name.of(LONGEST).part) == 22
    made = make(kind, LONGEST)
    for command in ("check", "format --check"):
        done = made.run("ruff", *command.split(), "--no-cache")
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_every_python_file_compiles_and_every_toml_block_is_toml(kind):
    for path, text in package(kind).files.items():
        if path.endswith(".py"):
            compile(text, path, "exec")
        if path.endswith(".toml"):
            assert tomllib.loads(text)["project"]["name"] == "penstock-shout"


# ---------------------------------------------------------------- licences and authors


@pytest.mark.parametrize(
    ("licence", "begins"),
    [
        ("MIT", "MIT License\n\nCopyright (c) 2026 Ada Lovelace\n"),
        ("Apache-2.0", " " * 33 + "Apache License\n"),
        ("BSD-3-Clause", "BSD 3-Clause License\n\nCopyright (c) 2026, Ada Lovelace\n"),
    ],
)
def test_a_licence_is_in_its_file_and_in_the_metadata(make, licence, begins):
    made = make("step", "shout", licence=licence)
    text = (made.folder / "LICENSE").read_text()
    assert text.startswith(begins)
    assert "2026" in text
    assert "Ada Lovelace" in text
    (metadata,) = made.site.glob("*.dist-info/METADATA")
    assert Parser().parsestr(metadata.read_text())["License-Expression"] == licence
    assert list(made.site.glob("*.dist-info/licenses/LICENSE"))


def test_without_a_licence_all_rights_are_kept_and_an_index_refuses_it():
    files = package(licence="none").files
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert "LICENSE" not in files
    assert "license" not in project
    assert "Private :: Do Not Upload" in project["classifiers"]
    assert "Copyright (c) 2026 Ada Lovelace" in files["README.md"]


@pytest.mark.parametrize(
    "author", ['Ada "the Countess" \\ Lovelace', "Ådå 水", "{{ year }} {% raw %}", "O'Neill & Söhne <x>"]
)
@pytest.mark.parametrize("licence", LICENCES)
def test_an_author_is_quoted_as_each_file_needs_it(author, licence):
    files = package(author=author, licence=licence).files
    assert tomllib.loads(files["pyproject.toml"])["project"]["authors"] == [{"name": author}]
    assert author in files.get("LICENSE", files["README.md"])


@pytest.mark.parametrize("author", ["two\nlines", "a\x00b", "", "a\u2028b"])
def test_an_author_is_a_line_of_text(author):
    with pytest.raises(ValueError, match="author"):
        package(author=author)


# ---------------------------------------------------------------- where it is written


def test_a_folder_with_something_in_it_is_left_as_it_is(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(PenstockError, match="is not empty; name another folder with --output"):
        package().write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_its_place_is_left_as_it_is(tmp_path):
    place = tmp_path / "penstock-shout"
    place.write_text("mine")
    with pytest.raises(PenstockError, match="is no folder"):
        package().write(place)
    assert place.read_text() == "mine"


def test_an_empty_folder_will_do(tmp_path):
    package().write(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(package().files)


# ---------------------------------------------------------------- what it knows of penstock


def test_it_knows_what_penstock_offers_by_itself():
    (builtin,) = load_registry(environ={"PENSTOCK_PLUGINS": ""}).plugins
    assert {kind: set(names) for kind, names in builtin.offers.items() if names} == BUILT_IN
