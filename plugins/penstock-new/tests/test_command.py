"""`penstock new`, as it is typed."""

import subprocess
from datetime import UTC, datetime

import pytest

from penstock.cli import main
from penstock_new import KINDS, Name
from penstock_new.taken import warning_of


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def git(monkeypatch):
    """Have git answer what the test says, or fail as it says."""

    def answers(answer):
        def run(*_, **__):
            if isinstance(answer, Exception):
                raise answer
            return subprocess.CompletedProcess([], 0, stdout=answer)

        monkeypatch.setattr("penstock_new.command.subprocess.run", run)

    return answers


@pytest.mark.parametrize("kind", KINDS)
def test_it_makes_a_package_and_says_what_comes_next(elsewhere, capsys, kind):
    assert main(["new", kind, "shout"]) == 0
    told = capsys.readouterr()
    assert (elsewhere / "penstock-shout" / "src" / "penstock_shout" / f"{kind}.py").is_file()
    commands = [line.strip() for line in told.out.splitlines() if line.startswith("    ")]
    assert commands == ["cd penstock-shout", "python -m pip install --editable . --group dev", "python -m pytest"]
    assert told.err == ""


def test_a_dry_run_lists_the_files_and_writes_none(elsewhere, capsys):
    assert main(["new", "step", "shout", "--dry-run"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert list(elsewhere.iterdir()) == []
    assert main(["new", "step", "shout"]) == 0
    written = [str(path.relative_to(elsewhere)) for path in elsewhere.rglob("*") if path.is_file()]
    assert sorted(listed) == sorted(written)


def test_output_is_the_packages_folder(elsewhere, capsys):
    assert main(["new", "step", "shout", "--output", "a folder/of mine"]) == 0
    assert (elsewhere / "a folder" / "of mine" / "pyproject.toml").is_file()
    assert "cd 'a folder/of mine'" in capsys.readouterr().out


def test_a_folder_that_is_not_empty_is_named_in_one_line(elsewhere, capsys):
    (elsewhere / "penstock-shout").mkdir()
    (elsewhere / "penstock-shout" / "mine.txt").touch()
    assert main(["new", "step", "shout"]) == 2
    assert capsys.readouterr().err == ("penstock: penstock-shout is not empty; name another folder with --output\n")


def test_a_name_that_cannot_be_is_refused_in_one_line(elsewhere, capsys):
    assert main(["new", "step", "class"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "name", "owner"),
    [
        ("gate", "rpm", "penstock itself offers a gate 'rpm'"),
        ("provider", "openai", "penstock-openai offers a provider 'openai'"),
        ("step", "http", "a package penstock-http"),
    ],
)
def test_a_name_that_is_taken_gets_a_warning_and_the_package(elsewhere, capsys, kind, name, owner):
    assert main(["new", kind, name]) == 0
    assert capsys.readouterr().err.startswith(f"penstock: warning: {owner}")
    assert (elsewhere / f"penstock-{name}" / "pyproject.toml").is_file()


def test_somebody_elses_broken_plugin_is_no_matter_here(monkeypatch):
    class Broken:
        value, dist = "broken.plugin", None

        def load(self):
            raise SystemExit("no")

    monkeypatch.setattr("penstock_new.taken.metadata.entry_points", lambda **_: [Broken()])
    assert warning_of(KINDS["step"], Name.of("shout")) is None


def test_the_author_is_gits_and_the_year_this_one(elsewhere, git):
    git("Grace Hopper\n")
    assert main(["new", "step", "shout"]) == 0
    licence = (elsewhere / "penstock-shout" / "LICENSE").read_text()
    assert f"Copyright (c) {datetime.now(UTC).year} Grace Hopper\n" in licence


@pytest.mark.parametrize("answer", ["", FileNotFoundError("git"), subprocess.TimeoutExpired("git", 5.0)])
def test_without_a_name_in_git_the_authors_are_the_packages(elsewhere, git, answer):
    git(answer)
    assert main(["new", "step", "shout"]) == 0
    assert "the authors of penstock-shout" in (elsewhere / "penstock-shout" / "LICENSE").read_text()


def test_author_year_and_licence_can_be_told(elsewhere):
    told = ["--author", "Ada Lovelace", "--year", "1843", "--license", "BSD-3-Clause"]
    assert main(["new", "step", "shout", *told]) == 0
    assert "Copyright (c) 1843, Ada Lovelace" in (elsewhere / "penstock-shout" / "LICENSE").read_text()


def test_an_author_of_two_lines_is_refused(capsys):
    assert main(["new", "step", "shout", "--author", "two\nlines"]) == 2
    assert capsys.readouterr().err == "penstock: --author must be a line of text\n"
