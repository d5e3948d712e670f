"""`penstock sim`: entered in the entry-point group `penstock.commands`."""

import argparse

from penstock_sim.lab.command import add_options as gates_options
from penstock_sim.lab.command import run_gates
from penstock_sim.serve import add_options, run_serve


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands of `sim`; each sets `run`, a function from the parsed arguments to an exit status."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serve = commands.add_parser(
        "serve",
        help="serve a simulated model over HTTP",
        description="Serve a simulated model over HTTP, by the APIs of OpenAI, Anthropic and Google.",
    )
    add_options(serve)
    serve.set_defaults(run=run_serve)
    gates = commands.add_parser(
        "gates",
        help="try gates against a server's limits, in virtual time",
        description="Run real gates under full load against a simulated server, in virtual time, "
        "and print how much of its limits they use and how often they are refused.",
    )
    gates_options(gates)
    gates.set_defaults(run=run_gates)
