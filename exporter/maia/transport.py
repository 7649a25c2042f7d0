"""Sends one call: budget before it, token on it, deadline around it, errors mapped after it.

The only place that talks to httpx. Must not know what the calls mean (`exporter.maia.client` does).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from exporter.maia import mapping, network
from exporter.maia.auth import TOKEN_ENDPOINT, ClientCredentials
from exporter.maia.budget import Budget, Wait
from exporter.maia.errors import BadAnswer, MaiaError, NetworkFailed, RateLimited, Retryable, Stopped

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from exporter.clock import Clock
    from exporter.maia.settings import MaiaSettings
    from exporter.maia.watcher import ClientWatcher, ThrottleCause

_CONNECT_TIMEOUT = 5.0  # a stop cannot end the opening of a connection, and the process has 8 s to leave
_PATIENCE = 120.0  # seconds that a call without a deadline waits for the budget or a Retry-After
_KEEP_ALIVE = 55.0  # seconds; longer than the usual poll interval, shorter than the usual 60 s of load balancers
_WHY: dict[ThrottleCause, str] = {
    "retry_after": "the server asked us to wait; lower requests_per_minute or ask less often",
    "budget": "our own budget is used up; raise requests_per_minute if the account allows, or ask less often",
}
_KEPT_HEADERS = ("Content-Type", "Date", "Retry-After", "Location")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the API. `endpoint` is its path as a template (a metric label), `tried` opens its error texts."""

    tried: str
    endpoint: str
    path: str
    method: str = "GET"
    params: tuple[tuple[str, str], ...] = ()
    payload: dict[str, Any] | None = None
    project_id: str = ""


@dataclass(frozen=True, slots=True)
class ServerTime:
    """What the server's clock said (to the second, so up to a second early) and what ours said then."""

    server_at: datetime
    local_at: datetime
    monotonic: float

    @property
    def skew_seconds(self) -> float:
        """The server's clock less ours."""
        return (self.server_at - self.local_at).total_seconds()


class Transport:
    """One account's connection. For one thread at a time; only `server_time` may be read from others."""

    def __init__(self, settings: MaiaSettings, *, clock: Clock, stop: threading.Event, watcher: ClientWatcher) -> None:
        self._settings = settings
        self._clock = clock
        self._stop = stop
        self._watcher = watcher
        self._budget = Budget(settings.requests_per_minute)
        self._auth = ClientCredentials(settings, clock=clock, on_renewed=watcher.token_renewed)
        self._bounds = network.Bounds(clock, stop)
        self._http = _http_client(settings)
        network.bound(self._http, self._bounds)
        self._deadline: float | None = None
        self._reserve = 0
        self.server_time: ServerTime | None = None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """All calls inside, waits included, end within `seconds`; an outer deadline stays in force."""
        before = self._deadline
        ends_at = self._clock.monotonic() + seconds
        self._deadline = ends_at if before is None else min(before, ends_at)
        try:
            yield
        finally:
            self._deadline = before

    @contextmanager
    def background(self, reserve: int) -> Iterator[None]:
        """All calls inside leave `reserve` requests of the budget's burst to more urgent ones."""
        before, self._reserve = self._reserve, reserve
        try:
            yield
        finally:
            self._reserve = before

    def send(self, call: Call) -> bytes:
        """The body of a 2xx answer. Raises MaiaError.

        A GET that meets a 429 waits as told and is repeated once if the deadline allows; nothing else is.
        """
        try:
            return self._answered(call)
        except RateLimited as error:
            wait = error.retry_after or 0.0
            if call.method != "GET" or wait >= self._time_left(default=_PATIENCE):
                raise
        return self._answered(call)

    def bad_answer(self, call: Call, reason: str, body: bytes) -> BadAnswer:
        """The error for a 2xx answer to `call` that cannot be read."""
        host = self._http.base_url.host
        return mapping.bad_answer(reason, tried=call.tried, host=host, body=body, secrets=self._auth.secrets)

    def _answered(self, call: Call) -> bytes:
        # httpx could drive the auth flow itself, but would read token answers without our bounds and watcher.
        request = self._http.build_request(call.method, call.path, params=call.params, json=call.payload)
        flow = self._auth.auth_flow(request)
        outgoing = next(flow)
        while True:
            if outgoing is request:
                self._take_budget(call)
                response = self._fetch(request, call)
            else:
                self._await_turn("sign in", self._budget.silence)
                response = self._exchange(outgoing, tried="sign in", endpoint=TOKEN_ENDPOINT)
            try:
                outgoing = flow.send(response)
            except StopIteration:
                break
            except Retryable as error:
                self._respect(error)
                raise
        if response.is_success:
            return response.content
        refusal = mapping.refusal(
            response,
            tried=call.tried,
            now=self._clock.now(),
            project_id=call.project_id,
            secrets=self._auth.secrets,
        )
        self._respect(refusal)
        raise refusal

    def _respect(self, error: MaiaError) -> None:
        if isinstance(error, Retryable) and error.retry_after is not None:
            self._budget.hold_off(self._clock.monotonic(), error.retry_after)

    def _fetch(self, request: httpx.Request, call: Call) -> httpx.Response:
        opened = self._bounds.connections
        try:
            response = self._exchange(request, tried=call.tried, endpoint=call.endpoint)
        except NetworkFailed:
            # The server may close an idle connection while our request is on its way: its right, and no failure.
            if call.method != "GET" or self._bounds.connections != opened:
                raise
            self._take_budget(call)
            response = self._exchange(request, tried=call.tried, endpoint=call.endpoint)
        self._note_time(response)
        return response

    def _exchange(self, request: httpx.Request, *, tried: str, endpoint: str) -> httpx.Response:
        started = self._clock.monotonic()
        seconds = min(self._settings.request_timeout, self._time_left(default=self._settings.request_timeout))
        self._bounds.ends_at = started + seconds
        request.extensions["timeout"] = httpx.Timeout(
            max(seconds, 0.0), connect=max(min(seconds, _CONNECT_TIMEOUT), 0.0)
        ).as_dict()
        try:
            response = self._whole(request, tried=tried, endpoint=endpoint)
        except Stopped:
            raise
        except MaiaError as error:
            self._watcher.request_finished(endpoint, error.cause.value, self._clock.monotonic() - started)
            raise
        self._watcher.request_finished(endpoint, str(response.status_code), self._clock.monotonic() - started)
        return response

    def _whole(self, request: httpx.Request, *, tried: str, endpoint: str) -> httpx.Response:
        host = request.url.host
        try:
            response = self._http.send(request, stream=True)
            try:
                body = network.read_body(response)
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            changes = request.method != "GET" and endpoint != TOKEN_ENDPOINT
            raise mapping.network_failure(error, tried=tried, host=host, sent=changes) from error
        except network.BodyError as error:
            raise mapping.bad_answer(str(error), tried=tried, host=host, body=b"") from error
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        return httpx.Response(response.status_code, headers=headers, content=body, request=request)

    def _take_budget(self, call: Call) -> None:
        self._await_turn(call.tried, lambda now: self._budget.take(now, reserve=self._reserve))

    def _await_turn(self, tried: str, ask: Callable[[float], Wait | None]) -> None:
        while True:
            if self._stop.is_set():
                raise Stopped(f"{tried}: stopped")
            wait = ask(self._clock.monotonic())
            if wait is None:
                return
            if wait.seconds >= self._time_left(default=_PATIENCE):
                raise RateLimited(
                    f"{tried}: {_WHY[wait.cause]} (another {wait.seconds:.0f} s, longer than this may take)",
                    retry_after=wait.seconds,
                )
            if self._clock.wait(wait.seconds, self._stop):
                raise Stopped(f"{tried}: stopped")
            self._watcher.throttled(wait.cause, wait.seconds)

    def _time_left(self, *, default: float) -> float:
        return default if self._deadline is None else self._deadline - self._clock.monotonic()

    def _note_time(self, response: httpx.Response) -> None:
        server_at = mapping.http_date(response.headers.get("Date", ""))
        if server_at is not None:
            self.server_time = ServerTime(server_at, self._clock.now(), self._clock.monotonic())
            self._watcher.clock_skew(self.server_time.skew_seconds)

    def server_now(self) -> datetime:
        """The server's clock now, carried on from its last answer; our own clock before the first."""
        last = self.server_time
        if last is None:
            return self._clock.now()
        return last.server_at + timedelta(seconds=self._clock.monotonic() - last.monotonic)


def _http_client(settings: MaiaSettings) -> httpx.Client:
    try:
        return httpx.Client(
            base_url=settings.api_url,
            headers={"User-Agent": settings.user_agent, "Accept": "application/json", "Accept-Encoding": "gzip"},
            limits=httpx.Limits(max_connections=4, max_keepalive_connections=4, keepalive_expiry=_KEEP_ALIVE),
            # This machine is never behind the proxy that the environment names for the world outside.
            mounts={f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")},
        )
    except (ValueError, ImportError):
        # A proxy's address may hold a password, so neither the text nor the chain shows it.
        raise NetworkFailed(
            "set up the connection: a proxy named in the environment cannot be used; "
            "check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY"
        ) from None
