"""``penstock sim gates``: how gates would do against a server, found out in virtual time."""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any, Final

from penstock import Gate, Service
from penstock_sim.lab.config import BACKENDS, CHARGING, LabConfig, Sizes
from penstock_sim.lab.run import run_lab
from penstock_sim.lab.table import LEGEND, grid_head, grid_row, table
from penstock_sim.limiters import SERVER_MODELS

__all__ = ["add_options", "run_gates"]

_USAGE_ERROR: Final = 2
_UNITS: Final = ("rpm", "tpm")
_GRID_LIMITS: Final = (("rpm", 60), ("rpm", 600), ("rpm", 10_000), ("tpm", 60_000), ("tpm", 2_000_000))
_DEFAULTS: Final = {"server": ("full",), "jitter": ("0.02:0.2",), "latency": ("1",), "sizes": ("constant",)}
_GRID_DEFAULTS: Final = {
    "server": SERVER_MODELS,
    "jitter": ("0", "0.02:0.2"),
    "latency": ("1", "0.05:30"),
    "sizes": ("constant", "bimodal", "oversized"),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``gates``."""
    _add_server(parser.add_argument_group("server and network"))
    _add_gates(parser.add_argument_group("gates"))
    _add_load(parser.add_argument_group("requests"))
    output = parser.add_argument_group("run and output").add_argument
    output("--minutes", type=float, default=10.0, metavar="M", help="simulated minutes (default: %(default)g)")
    output("--seed", type=int, default=0, help="of everything random (default: %(default)s)")
    output("--backend", choices=BACKENDS, help="a whole service on this event loop, slower (default: gates alone)")
    output(
        "--grid",
        action="store_true",
        help="every combination of --limit, --sizes, --jitter, --latency and --server, which may be repeated; "
        "of what is not said, the usual ones",
    )
    output("--json", action="store_true", help="print the report as JSON; with --grid, a line for each")


def _add_server(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--limit", action="append", default=[], metavar="N[UNIT]", help="600, 600rpm or 60000tpm; repeat it for both")
    add("--unit", choices=_UNITS, default="rpm", help="of a --limit without one (default: %(default)s)")
    add("--server", action="append", choices=SERVER_MODELS, help="how it enforces its limits (default: full)")
    add("--jitter", action="append", metavar="LOW:HIGH", help="seconds to the server (default: 0.02:0.2)")
    add("--latency", action="append", metavar="S[:HIGH]", help="seconds to the answer (default: 1)")
    add("--charging", choices=CHARGING, default="reserve", help="which tokens count (default: %(default)s)")
    add("--count-failed", action="store_true", help="refused requests count against the request limit")
    add("--headers", action="store_true", help="answers report the state of the limits")
    add("--no-hints", action="store_true", help="refusals do not say how long to wait")
    add("--change", metavar="FACTOR@MINUTE", help="the limits become this many times as large: 0.5@5")


def _add_gates(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--gate",
        action="append",
        default=[],
        metavar="NAME:OPTION=VALUE,...",
        help="a gate by its registered name, such as rpm:limit=600,burst=5; may be repeated "
        "(default: the server's limits as gates)",
    )
    add("--config", metavar="FILE", help="the gates and limits of a penstock.toml instead")
    add("--model", default="lab/model", help="what requests name, for gates with a match (default: %(default)s)")


def _add_load(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--sizes",
        action="append",
        metavar="SIZES",
        help="tokens of a request: constant (1000), bimodal (50 or 8000), oversized (one of 1.5 times the limit), "
        "or TOKENS[:WEIGHT],... (default: constant)",
    )
    add("--output-share", type=float, default=0.25, metavar="P", help="max_tokens in them (default: %(default)s)")
    add("--output-used", default="0.2:1", metavar="LOW:HIGH", help="the part generated (default: %(default)s)")
    add("--clients", type=int, default=1, metavar="N", help="programs that share the limits unawares (default: 1)")
    add("--backlog", type=int, default=10, metavar="N", help="requests that always wait (default: %(default)s)")


def run_gates(args: argparse.Namespace) -> int:
    """Run the experiment, or a grid of them, and print. Returns 0, or 2 after one line on stderr for wrong usage.

    Raises ConfigError for gates that cannot be made.
    """
    try:
        configs = list(_configs(args))
    except ValueError as error:
        print(f"penstock sim gates: {error}", file=sys.stderr)  # noqa: T201  # a command talks to people
        return _USAGE_ERROR
    if args.grid and not args.json:
        _say(grid_head())
    for config in configs:
        report = run_lab(config)
        if args.json:
            _say(json.dumps(report.to_dict(), indent=None if args.grid else 2))
        else:
            _say(grid_row(report) if args.grid else table(config, report))
    if args.grid and not args.json:
        _say(LEGEND)
    return 0


def _configs(args: argparse.Namespace) -> Iterator[LabConfig]:
    """Yield the experiments that were asked for."""
    stated = [_limit(text, args.unit) for text in args.limit]
    axes = {
        name: getattr(args, name) or (_GRID_DEFAULTS if args.grid else _DEFAULTS)[name]
        for name in ("sizes", "jitter", "latency", "server")
    }
    if not args.grid:
        if not stated or len(dict(stated)) < len(stated):
            raise ValueError("say --limit once, or once for each unit; or use --grid")
        for name, values in axes.items():
            if len(values) > 1:
                raise ValueError(f"say --{name} once; or use --grid")
        yield _config(args, *(values[0] for values in axes.values()), limits=dict(stated))
        return
    for unit, limit in stated or _GRID_LIMITS:
        sizes = axes["sizes"] if unit == "tpm" else axes["sizes"][:1]  # where nobody counts tokens, all are alike
        for size, jitter, latency, server in product(sizes, axes["jitter"], axes["latency"], axes["server"]):
            yield _config(args, size, jitter, latency, server, limits={unit: limit})


def _config(
    args: argparse.Namespace,
    sizes: str,
    jitter: str,
    latency: str,
    server: Any,
    *,
    limits: dict[str, int],
) -> LabConfig:
    return LabConfig(
        gates=_gates(args, limits),
        server=server,
        rpm=limits.get("rpm"),
        tpm=limits.get("tpm"),
        charging=args.charging,
        count_failed=args.count_failed,
        headers=args.headers,
        hints=not args.no_hints,
        jitter_s=_pair(jitter, ":", "jitter"),
        latency_s=_pair(latency, ":", "latency"),
        minutes=args.minutes,
        sizes=Sizes.parse(sizes),
        output_share=args.output_share,
        output_used=_pair(args.output_used, ":", "output-used"),
        clients=args.clients,
        change=_pair(args.change, "@", "change", both=True) if args.change else None,
        backlog=args.backlog,
        model=args.model,
        seed=args.seed,
        backend=args.backend,
    )


def _gates(args: argparse.Namespace, limits: dict[str, int]) -> Callable[[], Iterable[Gate]]:
    """Return what makes the gates that were asked for; they are made once now, to find what is wrong with them."""
    if args.config and args.gate:
        raise ValueError("say --config or --gate, not both")
    if args.config:

        def make() -> Iterable[Gate]:
            return Service.from_config(args.config, sinks=()).gates

    else:
        specs = [_spec(text) for text in args.gate]
        if not specs:
            specs = [(unit, {"limit": value}) for unit, value in limits.items()]
        registry = Service(gates=()).registry

        def make() -> Iterable[Gate]:
            return [registry.build("gate", name, options, path=f"--gate {name}") for name, options in specs]

    make()
    return make


def _spec(text: str) -> tuple[str, dict[str, Any]]:
    """Read NAME:OPTION=VALUE,...; values are written as in TOML, and words may go without quotes."""
    name, _, rest = text.partition(":")
    options = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"--gate {text!r}: {part!r} is not OPTION=VALUE")
        try:
            options[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            options[key.strip()] = value
    return name, options


def _limit(text: str, unit: str) -> tuple[str, int]:
    digits = text.rstrip("rpmt").replace("_", "")
    unit = text[len(text.rstrip("rpmt")) :] or unit
    if unit not in _UNITS or not digits.isdecimal():
        raise ValueError(f"--limit {text!r}: write a whole number, and rpm or tpm if you like")
    return unit, int(digits)


def _pair(text: str, mark: str, option: str, *, both: bool = False) -> tuple[float, float]:
    """Read two numbers with a mark between, or one number for both unless `both` must be there."""
    low, found, high = text.partition(mark)
    try:
        return float(low), float(high if found or both else low)
    except ValueError:
        raise ValueError(f"--{option} {text!r}: write two numbers with {mark!r} between") from None


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  # printing is what a command does
