"""`penstock sim serve`: the server as a program. Also `python -m penstock_sim.serve`."""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
from typing import Final

from penstock_sim.config import SimConfig
from penstock_sim.faults import FAULTS, FaultError
from penstock_sim.limiters import SERVER_MODELS
from penstock_sim.server import SimServer, run

_USAGE_ERROR: Final = 2


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `serve`."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8080, help="port to listen on, 0 for any free one (default: %(default)s)")
    add("--rpm", type=int, metavar="N", help="requests per minute (default: no limit)")
    add("--tpm", type=int, metavar="N", help="tokens per minute (default: no limit)")
    add("--input-tpm", type=int, metavar="N", help="input tokens per minute (default: no limit)")
    add("--output-tpm", type=int, metavar="N", help="output tokens per minute (default: no limit)")
    add(
        "--limiter",
        choices=SERVER_MODELS,
        default="full",
        help="how the limits are enforced: a bucket of a minute's or a second's worth, "
        "an exact sliding minute, fixed minutes, fixed 10 s windows (default: %(default)s)",
    )
    add("--count-failed", action="store_true", help="refused requests count against --rpm too")
    add("--latency", type=float, default=0.0, metavar="SECONDS", help="time to the first byte (default: 0)")
    add("--jitter", type=float, default=0.0, metavar="SECONDS", help="random addition to it, at most (default: 0)")
    add("--chunk-gap", type=float, default=0.0, metavar="SECONDS", help="time between events of a stream (default: 0)")
    add(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[:SECONDS]=RATE",
        help=f"serve a fault with this probability; may be repeated. Faults: {', '.join(FAULTS)}",
    )
    add("--script", default="", help='faults to serve first, one per request: "ok*3,429,500,stall"')
    add("--api-key", metavar="KEY", help="refuse every other key (default: any is let in)")
    add("--model", action="append", default=[], metavar="NAME", help="a model that exists; may be repeated")
    add("--seed", type=int, default=0, help="seed of texts, faults and jitter (default: %(default)s)")


def _fault(text: str) -> tuple[str, float]:
    name, equals, rate = text.rpartition("=")
    try:
        return name, float(rate if equals else "none")
    except ValueError:
        raise FaultError(f"--fault {text!r} is not NAME=RATE") from None


def run_serve(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM. Returns 0, or 2 after one line on stderr if it cannot start."""
    _allow_many_connections()
    try:
        config = SimConfig(
            host=args.host,
            port=args.port,
            rpm=args.rpm,
            tpm=args.tpm,
            input_tpm=args.input_tpm,
            output_tpm=args.output_tpm,
            limiter=args.limiter,
            count_failed=args.count_failed,
            latency_s=args.latency,
            jitter_s=args.jitter,
            chunk_gap_s=args.chunk_gap,
            faults=tuple(map(_fault, args.fault)),
            script=args.script,
            api_key=args.api_key,
            models=tuple(args.model),
            seed=args.seed,
        )
        run(_serve(SimServer(config)))
    except ValueError as error:  # of the settings, or the faults
        return _refuse(str(error.args[0]))
    except OSError as error:
        # asyncio words the errors of bind() anew, at length; those of name look-ups are no system errors.
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        return _refuse(f"cannot listen on {args.host} port {args.port}: {reason}")
    return 0


async def _serve(server: SimServer) -> None:
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with server:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt instead
                loop.add_signal_handler(number, end.set)
        print(server.url, flush=True)  # noqa: T201  # the one line that programs read
        _say(f"serving {server.url}/v1, and /v1beta as Gemini (Ctrl-C stops)")
        await end.wait()
    _say(f"served {server.stats.line()}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # a command talks to people


def _refuse(message: str) -> int:
    _say(f"penstock sim serve: {message}")
    return _USAGE_ERROR


def _allow_many_connections() -> None:
    """Raise the soft limit on open files to the hard one, where there are such limits."""
    try:
        import resource  # absent on Windows
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> int:
    """Run the program with the options of the command line."""
    parser = argparse.ArgumentParser(prog="penstock-sim", description="A simulated model server on loopback.")
    add_options(parser)
    return run_serve(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
