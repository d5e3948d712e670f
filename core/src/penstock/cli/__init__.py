"""The `penstock` command: one module for each subcommand, imported when it is called."""

from penstock.cli.main import main

__all__ = ["main"]
