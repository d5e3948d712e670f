"""What `penstock --help` says of commands that plugins add."""

from penstock.cli import main

COMMAND = """
def configure(parser):
    parser.set_defaults(run=lambda arguments: 0)
"""


def described(site, text):
    site.install("hello", COMMAND, group="penstock.commands", target="penstock_hello_for_a_test:configure")
    (info,) = site.folder.glob("penstock_hello*.dist-info")
    with (info / "METADATA").open("a") as metadata:
        metadata.write(f"Summary: {text}\n")


def test_a_command_is_told_by_its_packages_own_summary(site, capsys):
    described(site, "Greets, at 100 % of capacity.")
    assert main(["--help"]) == 0
    assert "hello Greets, at 100 % of capacity (penstock-hello 1.0)" in " ".join(capsys.readouterr().out.split())


def test_its_own_help_says_the_same(site, capsys):
    described(site, "Greets, at 100 % of capacity.")
    assert main(["hello", "--help"]) == 0
    assert "Greets, at 100 % of capacity (penstock-hello 1.0)" in " ".join(capsys.readouterr().out.split())
