"""`penstock run IN -o OUT`: what the user asked for becomes a `BulkRun`; what became of it, text and an exit status."""

from __future__ import annotations

import argparse
import gc
import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

import anyio
from anyio import to_thread
from attrs import evolve

from penstock.bulk.estimate import Estimate, estimate_run
from penstock.bulk.lines import FORMAT_PROVIDER, ModelRules
from penstock.bulk.output import ResultWriter, check_paths, default_error_path, open_writer
from penstock.bulk.reading import MAX_LINE_BYTES, UNREADABLE, Input
from penstock.bulk.run import BulkRun, RunOptions, StopCause
from penstock.cli.amounts import rows_text
from penstock.cli.progress import ProgressLine
from penstock.cli.summary import estimate_text, summary_data, summary_text
from penstock.config import Config, load_config
from penstock.errors import PenstockError
from penstock.registry import Registry, load_registry
from penstock.schema import Usage
from penstock.service import Service

__all__ = ["configure", "run"]

OK, ROWS_FAILED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130
DRAW_EVERY_S, PRINT_EVERY_S = 0.25, 2.0
COLLECT_AFTER = 50_000
"""New objects between two collections of the young ones; Python 3.11's own default is 700."""

ROW_REFUSALS = 20
"""How many 429s a row survives without counting them as tries: when other programs use the same key, being refused
now and then is nothing that a row can help, and the gates hold everyone back meanwhile."""

DESCRIPTION = """\
Send every line of IN to a language model and write one line for each to OUT.

IN holds one JSON object a line: an OpenAI Batch line {"custom_id", "method", "url", "body"}, a bare chat body
{"model", "messages"}, or the fields of a GenerationRequest such as {"prompt"}; also the error file of an earlier run.
OUT gets the lines of OpenAI's Batch output plus the key "penstock", as rows complete."""

EPILOG = """\
A model's name without a slash is taken as that of --provider, of the config's default_provider, or of openai.
The first Ctrl-C lets the calls under way finish and begins no more, the second one abandons them.
Exit status: 0 all rows ok, 1 some failed, 2 wrong usage, input or output, 130 interrupted."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("input", metavar="IN", help="a file of JSON lines, plain or gzip; - is stdin")
    add("-o", "--output", metavar="OUT", help="where results go; - is stdout")
    add("-m", "--model", help="replaces the model of every line: provider/model")
    add("--provider", metavar="NAME", help="stands before model names without a slash (default: openai)")
    add("--config", metavar="FILE", help="a penstock.toml; the options here win over it")
    add(
        "--rpm", type=_limit, default=argparse.SUPPRESS, metavar="N", help='requests a minute, or "none" (default: 100)'
    )
    add("--tpm", type=_limit, default=argparse.SUPPRESS, metavar="N", help="tokens a minute")
    add("--concurrency", type=_count, metavar="N", help="calls at once (default: 100)")
    add("--budget", type=_usd, metavar="USD", help="send no row that would take the cost beyond this")
    add("--timeout", type=_positive, metavar="S", help="seconds for a row, waits and retries included")
    add("--max-retries", type=_count_or_zero, metavar="N", help="tries after the first one (default: 2)")
    add("--limit", type=_count, metavar="N", help="read only the first N rows")
    add("--ordered", action="store_true", help="write in the order of IN")
    add("--errors", metavar="FILE", help="where failed rows go besides OUT (default: OUT's name with .errors.jsonl)")
    add("--overwrite", action="store_true", help="replace OUT and the error file if they exist")
    add("--max-line-bytes", type=_count, default=MAX_LINE_BYTES, metavar="N", help="longer lines are failed rows")
    add("--dry-run", action="store_true", help="count rows, tokens and price; send and write nothing")
    add("--progress", action="store_true", help="show progress where stderr is no terminal too: a line every 2 s")
    add("--json", action="store_true", help="print the summary as one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Do it, and return the exit status; what cannot be used is one message on stderr."""
    try:
        return _dry_run(args) if args.dry_run else _run(args)
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # whoever read what this says has gone: that is no fault of the input's
        raise
    except UNREADABLE as error:
        _say(_os_text(error))
    except PenstockError as error:
        _say(str(error))
    return UNUSABLE


def _say(message: str) -> None:
    print(f"penstock run: {message}", file=sys.stderr, flush=True)


def _os_text(error: Exception) -> str:
    """Return "path: reason" for an error of the operating system that names a file, the message for any other."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


# ---------------------------------------------------------------- arguments


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def _limit(text: str) -> float | None:
    return None if text == "none" else _positive(text)


def _count_or_zero(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def _count(text: str) -> int:
    number = _count_or_zero(text)
    if not number:
        raise argparse.ArgumentTypeError("expected a whole number above 0, got '0'")
    return number


def _usd(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount <= 0:
        raise argparse.ArgumentTypeError(f"expected an amount in USD above 0, got {text!r}")
    return amount


def _config(args: argparse.Namespace, registry: Registry) -> Config:
    return load_config(args.config, registry) if args.config else Config()


def _overrides(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Return the arguments of `Service` that the command line sets."""
    given = {"max_rpm": "rpm", "max_tpm": "tpm"}
    overrides = {name: getattr(args, option) for name, option in given.items() if option in args}
    if args.concurrency is not None:
        overrides["max_concurrent_requests"] = args.concurrency
    if args.timeout is not None:
        overrides["timeout_s"] = args.timeout
    retry = config.service.retry
    if args.max_retries is not None:
        retry = evolve(retry, max_retries=args.max_retries)
    overrides["retry"] = evolve(retry, max_refusals=max(retry.max_refusals, ROW_REFUSALS))
    return overrides


def _options(args: argparse.Namespace, config: Config) -> RunOptions:
    service = config.service
    provider = args.provider or service.default_provider or FORMAT_PROVIDER
    rules = ModelRules(model=args.model, provider=provider, has_default=service.default_model is not None)
    return RunOptions(
        rules=rules,
        ordered=args.ordered,
        budget_usd=args.budget,
        limit=args.limit,
    )


# ---------------------------------------------------------------- the run


def _run(args: argparse.Namespace) -> int:
    if args.output is None:
        raise PenstockError("name the file for the results: -o OUT")
    if args.json and args.output == "-":
        raise PenstockError("--json and -o - both write to stdout; give the results a file")
    errors = args.errors or default_error_path(args.output)
    registry = load_registry()
    config = _config(args, registry)
    options, overrides = _options(args, config), _overrides(args, config)
    check_paths(args.input, args.output, errors)
    source = Input.open(args.input, max_line_bytes=args.max_line_bytes)
    try:
        service = Service.from_config(config, registry=registry, **overrides)
        writer = open_writer(args.output, errors, overwrite=args.overwrite)
        if "max_rpm" not in overrides and _default_limit_applies(config):
            _say("100 requests a minute by default; set --rpm to what your account allows")
        bulk = BulkRun(service, source, writer, options)
        service.add_gate(bulk.floodgate)
        with _rare_collections():
            return anyio.run(partial(_drive, bulk, service, as_json=args.json, progress_wanted=args.progress))
    finally:
        source.close()


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Have Python look for garbage less often: this process is the run's alone, and keeps what it has loaded.

    With a thousand rows under way the collector was seen to take a quarter of the CPU, going over rows that are still
    needed and a price list that always is.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _default_limit_applies(config: Config) -> bool:
    """Whether nobody said how fast to go."""
    return not config.gates and "max_rpm" not in config.stated


async def _drive(bulk: BulkRun, service: Service, *, as_json: bool, progress_wanted: bool) -> int:
    """Run to the end, or to the second interrupt, and report."""
    started = time.monotonic()
    progress = await _progress(bulk, service, wanted=progress_wanted)
    with anyio.CancelScope() as whole:
        async with service, anyio.create_task_group() as beside:
            beside.start_soon(_heed_signals, bulk, service, progress, whole.cancel)
            if progress is not None:
                beside.start_soon(_draw, progress)
            await bulk.run()
            beside.cancel_scope.cancel()
    if whole.cancelled_caught:
        bulk.abandon()
    if progress is not None:
        progress.clear()
    _close(bulk, bulk.writer)
    elapsed_s = time.monotonic() - started
    if not bulk.tally.read and bulk.stop is None:
        _say(f"no rows in {bulk.source.name}")
    figures = service.snapshot()
    if as_json:
        print(json.dumps(summary_data(bulk, elapsed_s, figures)))
    else:
        print(summary_text(bulk, elapsed_s, figures), file=sys.stderr)
    return _status(bulk)


def _close(bulk: BulkRun, writer: ResultWriter) -> None:
    writer.close()
    if writer.failure is not None:
        bulk.drain(StopCause.OUTPUT, writer.failure)
        later = " and ".join(file.name for file in writer.rescued)
        where = f"; what came back later is in {later}" if later else ""
        _say(f"{writer.failure}; {rows_text(writer.out.lines)} are safely in {writer.out.name}{where}")


def _status(bulk: BulkRun) -> int:
    cause = bulk.stop.cause if bulk.stop is not None else None
    if cause in (StopCause.OUTPUT, StopCause.INPUT) or bulk.writer.failure is not None:
        return UNUSABLE
    if cause is StopCause.INTERRUPTED:
        return INTERRUPTED
    return ROWS_FAILED if bulk.tally.failed else OK


async def _progress(bulk: BulkRun, service: Service, *, wanted: bool) -> ProgressLine | None:
    """Return the progress line when somebody can see it, or wants it all the same."""
    drawn = sys.stderr.isatty()
    if not drawn and not wanted:
        return None
    total = await to_thread.run_sync(bulk.source.count)
    limit = bulk.options.limit
    if total is not None and limit is not None:
        total = min(total, limit)
    return ProgressLine(bulk.tally, sys.stderr, total, service.snapshot, drawn)


async def _draw(progress: ProgressLine) -> None:
    while True:
        progress.show()
        await anyio.sleep(DRAW_EVERY_S if progress.drawn else PRINT_EVERY_S)


async def _heed_signals(
    bulk: BulkRun, service: Service, progress: ProgressLine | None, abort: Callable[[], None]
) -> None:
    """Drain at the first interrupt, abort at the second."""
    if threading.current_thread() is not threading.main_thread():
        return
    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            drained = False
            async for _ in signals:
                if drained:
                    abort()
                    return
                drained = True
                bulk.drain(StopCause.INTERRUPTED, "interrupted")
                calls = service.snapshot().in_flight
                message = f"finishing {calls:,} {'call' if calls == 1 else 'calls'}; interrupt again to abandon"
                if progress is not None:
                    progress.note = message
                else:
                    _say(message)
    except NotImplementedError:
        # Windows' event loop takes no signal handlers: there the first Ctrl-C ends the run as the second does here.
        return


# ---------------------------------------------------------------- the dry run


def _dry_run(args: argparse.Namespace) -> int:
    registry = load_registry()
    config = _config(args, registry)
    options = _options(args, config)
    service = Service.from_config(config, registry=registry)

    def cost(provider: str, model: str, usage: Usage) -> Decimal | None:
        return service.price(f"{provider}/{model}", usage)

    source = Input.open(args.input, max_line_bytes=args.max_line_bytes)
    try:
        default_model = config.service.default_model
        estimate: Estimate = anyio.run(partial(estimate_run, source, options, cost, default_model=default_model))
    finally:
        source.close()
    print(json.dumps(estimate.to_dict()) if args.json else estimate_text(estimate))
    return ROWS_FAILED if estimate.tally.failed else OK
