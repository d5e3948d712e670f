"""The server's mind: one HTTP request in, one answer out. No sockets, no event loop, no waiting.

The order of its checks is the real API's: URL, key, body, model, length, rate, and only then luck.
"""

import random
import time
from collections.abc import Callable

import orjson

from penstock_sim.config import SimConfig
from penstock_sim.damage import spoil
from penstock_sim.exchange import (
    Ending,
    Failure,
    FailureKind,
    HttpAnswer,
    HttpRequest,
    RefusedError,
    SimRequest,
    Stamp,
)
from penstock_sim.faults import MID_STREAM_FAILURE, Damage, FaultError, FaultPlan
from penstock_sim.hints import over_limit
from penstock_sim.limiters import UNLIMITED, Admission, Clock, RateLimits
from penstock_sim.model import answer
from penstock_sim.stats import Stats
from penstock_sim.text import count_tokens
from penstock_sim.wire import DEFAULT_WIRE, Wire, wire_of
from penstock_sim.wire.listings import Listing, listing_of

DEFAULT_MODELS = ("sim-small", "sim-large")
"""What is listed where every model exists."""


def wall_clock() -> Clock:
    """Build a clock of Unix seconds that never goes back."""
    offset = time.time() - time.monotonic()
    return lambda: time.monotonic() + offset


class Simulation:
    """Answers requests by its settings, on a clock of Unix seconds.

    Not safe for several threads at once: it belongs to one event loop.
    """

    def __init__(self, config: SimConfig, clock: Clock | None = None) -> None:
        self.config = config
        self.stats = Stats()
        self._clock = clock or wall_clock()
        self._plan = FaultPlan(config.faults, script=config.script, seed=config.seed)
        self._control: dict[tuple[str, str], Callable[[HttpRequest], HttpAnswer]] = {
            ("GET", "/sim/stats"): self._show_stats,
            ("POST", "/sim/reset"): self._reset_by_request,
            ("POST", "/sim/script"): self._load_script,
        }
        self._begin()

    def _begin(self) -> None:
        """Set everything that a reset sets again."""
        config = self.config
        self._random = random.Random(config.seed)  # noqa: S311  # repeatable, not secret
        self._limits = RateLimits(
            config.limiter,
            self._clock,
            rpm=config.rpm,
            tpm=config.tpm,
            input_tpm=config.input_tpm,
            output_tpm=config.output_tpm,
            count_failed=config.count_failed,
        )

    def script(self, steps: str) -> None:
        """Replace what is left of the script. Raises FaultError and leaves it as it was."""
        self._plan.load(steps)

    def reset(self) -> None:
        """Start counters, limits and faults again."""
        self.stats.reset()
        self._plan.reset()
        self._begin()

    def respond(self, request: HttpRequest) -> HttpAnswer:
        """Answer one request. Never raises for anything a client can send."""
        if control := self._control.get((request.method, request.path)):
            return control(request)
        wire = wire_of(request.path)
        if wire is None:
            return self._other(request)
        if request.method != "POST":
            return self.reject(request.path, _wrong_method(request))
        return self._call(wire, request)

    def reject(self, path: str, failure: Failure) -> HttpAnswer:
        """Answer what is not even a request to a path: broken HTTP, too much of it, or another method."""
        return self._fail(wire_of(path) or DEFAULT_WIRE, failure, self._stamp(0.0), None)

    # -- model calls -------------------------------------------------------------------------

    def _call(self, wire: Wire, http: HttpRequest) -> HttpAnswer:
        """Count a model call and answer it."""
        reply = self._admit(wire, http)
        self.stats.requests += 1
        if reply.ending not in (Ending.ABANDON, Ending.RESET):
            self.stats.statuses[reply.status] += 1
        return reply

    def _admit(self, wire: Wire, http: HttpRequest) -> HttpAnswer:
        delay_s = self.config.latency_s + self.config.jitter_s * self._random.random()
        stamp = self._stamp(delay_s)
        try:
            self._check_key(wire, http)
            request = wire.parse(http)
            self._check_model(request)
        except RefusedError as refused:
            return self._fail(wire, refused.failure, stamp, None)
        if not wire.limited:
            return self._serve(wire, request, stamp, UNLIMITED, delay_s)
        charge = wire.charge(request, self.config.assumed_max_tokens)
        admission = self._limits.admit(charge.input_tokens, charge.output_tokens)
        if admission.refused_by is not None:
            self.stats.refused[admission.refused_by] += 1
            return self._fail(wire, over_limit(request.model, admission), stamp, admission)
        self.stats.charged_tokens += charge.input_tokens + charge.output_tokens
        return self._serve(wire, request, stamp, admission, delay_s)

    def _serve(self, wire: Wire, request: SimRequest, stamp: Stamp, admission: Admission, delay_s: float) -> HttpAnswer:
        """Answer an admitted request, well or by the fault that the plan deals it."""
        fault = self._plan.next()
        effect = fault.effect if fault else None
        if effect is Damage.ERROR_EVENT and not request.stream:
            effect = MID_STREAM_FAILURE
        if isinstance(effect, Failure):
            return self._fail(wire, effect, stamp, admission, delay_s)
        good = self._good(wire, request, stamp, admission, delay_s)
        if fault is None or effect is None:
            return good
        return spoil(
            good,
            effect,
            delay_s=fault.seconds,
            error_event=lambda place: wire.error_event(MID_STREAM_FAILURE, stamp, place),
            oversized_bytes=self.config.oversized_bytes,
        )

    def _good(self, wire: Wire, request: SimRequest, stamp: Stamp, admission: Admission, delay_s: float) -> HttpAnswer:
        reply = answer(request, seed=self.config.seed, natural_tokens=self.config.natural_tokens)
        if wire.limited:
            self.stats.prompt_tokens += reply.prompt_tokens
            self.stats.completion_tokens += reply.completion_tokens
        if output := wire.charge_output(reply):
            self._limits.book(output)
            self.stats.charged_tokens += output
        headers = wire.headers(stamp, admission)
        if not request.stream:
            return HttpAnswer(200, headers, (wire.body(request, reply, stamp),), delay_s=delay_s)
        self.stats.streams += 1
        events = wire.events(request, reply, stamp)
        return HttpAnswer(200, headers, events, stream=True, delay_s=delay_s, gap_s=self.config.chunk_gap_s)

    def _fail(
        self, wire: Wire, failure: Failure, stamp: Stamp, admission: Admission | None, delay_s: float = 0.0
    ) -> HttpAnswer:
        headers = wire.headers(stamp, admission, failure)
        return HttpAnswer(wire.status(failure), headers, (wire.error(failure, stamp),), delay_s=delay_s)

    def _stamp(self, delay_s: float) -> Stamp:
        return Stamp(f"{self._random.getrandbits(128):032x}", self._clock(), round(delay_s * 1000))

    # -- checks ------------------------------------------------------------------------------

    def _check_key(self, wire: Wire, request: HttpRequest) -> None:
        if self.config.api_key is None:
            return
        key = wire.credential(request)
        if key is None:
            raise RefusedError(Failure(FailureKind.NO_KEY, "You didn't provide an API key."))
        if key != self.config.api_key:
            shown = f"***{key[-4:]}" if len(key) > 12 else "***"
            raise RefusedError(Failure(FailureKind.WRONG_KEY, f"Incorrect API key provided: {shown}."))

    def _check_model(self, request: SimRequest) -> None:
        if self.config.models and request.model not in self.config.models:
            message = f"The model `{request.model}` does not exist or you do not have access to it."
            raise RefusedError(Failure(FailureKind.UNKNOWN_MODEL, message, model=request.model))
        prompt, completion, most = count_tokens(request.prompt), request.max_tokens or 0, self.config.context_tokens
        if prompt + completion > most:
            message = (
                f"This model's maximum context length is {most} tokens. However, you requested "
                f"{prompt + completion} tokens ({prompt} in the messages, {completion} in the completion)."
            )
            raise RefusedError(Failure(FailureKind.CONTEXT_LENGTH, message))

    # -- everything else ---------------------------------------------------------------------

    def _other(self, request: HttpRequest) -> HttpAnswer:
        """Answer the lists of models, and wrong URLs and methods."""
        stamp = self._stamp(0.0)
        listing, name = listing_of(request.path)
        if listing is None:
            failure = Failure(FailureKind.UNKNOWN_URL, f"Invalid URL ({request.method} {request.path})")
            return self._fail(DEFAULT_WIRE, failure, stamp, None)
        if request.method != "GET":
            return self._fail(listing.wire, _wrong_method(request), stamp, None)
        try:
            self._check_key(listing.wire, request)
            body = self._models_body(listing, name)
        except RefusedError as refused:
            return self._fail(listing.wire, refused.failure, stamp, None)
        return HttpAnswer(200, listing.wire.headers(stamp, None), (body,))

    def _models_body(self, listing: Listing, name: str) -> bytes:
        """Describe all models, or the one of this name."""
        if not name:
            return listing.all(self.config.models or DEFAULT_MODELS)
        if self.config.models and name not in self.config.models:
            message = f"The model `{name}` does not exist."
            raise RefusedError(Failure(FailureKind.UNKNOWN_MODEL, message, "model", model=name))
        return listing.one(name)

    def _show_stats(self, _: HttpRequest) -> HttpAnswer:
        return _json({**self.stats.as_dict(), "faults": dict(self._plan.dealt)})

    def _reset_by_request(self, _: HttpRequest) -> HttpAnswer:
        self.reset()
        return _json({"ok": True})

    def _load_script(self, request: HttpRequest) -> HttpAnswer:
        """Take `{"script": "ok*3,429"}` in place of what is left of the script."""
        try:
            body = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            body = None
        script = body.get("script") if isinstance(body, dict) else None
        if not isinstance(script, str):
            return _json({"error": 'expected a JSON object {"script": "..."}'}, 400)
        try:
            self.script(script)
        except FaultError as error:
            return _json({"error": str(error)}, 400)
        return _json({"ok": True})


def _wrong_method(request: HttpRequest) -> Failure:
    return Failure(FailureKind.WRONG_METHOD, f"Not allowed to {request.method} on {request.path}.")


def _json(value: object, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, "", (orjson.dumps(value),))
