"""Apprise: says which targets it can serve, sends one message to one target, and says how that went.

The only importer of `apprise`, which costs a sixth of a second: when it is first needed. Its own retries, tags and
formats are switched off: they repeat, skip and let markup through. What it and `requests` say of a failure carries
secrets; it is looked at here and goes no further: reasons are made of our own words, codes and words of the service.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from exporter.apprise_answers import PAGE, outcome_of
from exporter.core.delivery import Outcome, OutcomeClass, Room, Tone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

READ_SECONDS = 20.0
"""How long an answer may take: with less, a service that is merely slow gets the message twice."""

CONNECT_SECONDS = 10.0
"""How long a connection may take; for e-mail it is the limit of every step."""

_OURS = {"retry": "0", "wait": "0", "rto": str(READ_SECONDS), "cto": str(CONNECT_SECONDS), "overflow": "truncate"}
"""Options that are not the URL's to choose."""

_NOT_THEIRS = ("format", "tag")
"""Options that are not obeyed: text is sent as text, and to whom is for routes to say."""

_LINE_END = 2
"""What stands between a title and a body that are sent as one."""

_RECIPIENTS = ("targets", "channels", "topics", "users", "devices", "rooms", "groups", "cc", "bcc")
"""Where Apprise's services keep to whom they send."""


def problem_of(url: str) -> tuple[str, str] | None:
    """What keeps a target's URL from being served, and a hint; never a part of the URL. None when it can be."""
    if any(key.lower() == "optional" for key, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)):
        return "has optional=, which makes Apprise call a failed alert delivered", "remove it"
    several = "has more than one recipient", "give each its own [[targets]], so that one that fails is told again alone"
    apprise = _apprise()
    listed = apprise.Apprise()
    loads = listed.add(url)
    if len(listed) > 1:
        return several
    with _complaints() as complaints:
        service = _service(url)
    if not loads or service is None:
        return (
            "is no URL that Apprise can load",
            "https://github.com/caronc/apprise/wiki lists the services and their URLs",
        )
    lists = _lists_of_recipients(service)
    if max(len(service), sum(map(len, lists))) > 1:
        return several
    # Without any, some services send to a place of their own; with one that it cannot read, Apprise sends to nobody.
    if complaints and lists and not any(lists):
        return "has a recipient that Apprise cannot read, and no other", "see how its service writes recipients"
    return None


def room(url: str) -> Room:
    """How long a message to this service may be: no longer than what Slack takes, shorter where it takes less."""
    service = _service(url)
    if service is None:
        return Room()
    most, longest_title, longest_body = Room(), int(service.title_maxlen), int(service.body_maxlen)
    title = min(most.title, longest_title if longest_title > 0 else longest_body // 3)
    shared = longest_title <= 0 or service.overflow_amalgamate_title  # the title takes its place from the body
    taken = int(service.overflow_buffer) + (title + _LINE_END if shared else 0)
    return Room(title=title, body=max(1, min(most.body, longest_body - taken)))


def send(url: str, *, title: str, body: str, tone: Tone = Tone.INFO) -> Outcome:
    """Send one message now. Waits 10 s for a connection and 20 s for an answer at most, and raises nothing."""
    apprise = _apprise()
    service = _service(url)
    if service is None:
        return Outcome(OutcomeClass.TARGET_BROKEN, "Apprise cannot load its URL")
    try:
        result = apprise.Apprise(service, asset=service.asset).notify(
            title=title, body=body, notify_type=tone.value, body_format="text", log_level=logging.DEBUG
        )
        attempts = [attempt for service_result in result for attempt in service_result.attempts]
        if attempts and attempts[-1].status is apprise.AppriseResultStatus.SUCCESS:
            return Outcome(OutcomeClass.SENT)
        return outcome_of([(entry.level, entry.message) for entry in result.logs()])
    except Exception as error:  # noqa: BLE001 - 180 plug-ins: any of them may raise anything
        return Outcome(OutcomeClass.AMBIGUOUS, f"Apprise failed: {type(error).__name__}")


def _lists_of_recipients(service: Any) -> list[Any]:
    lists = [getattr(service, name, None) for name in _RECIPIENTS]
    return [some for some in lists if isinstance(some, list | tuple | set | dict)]


@contextmanager
def _complaints() -> Iterator[list[int]]:
    """Fills with a level for each warning of Apprise's on this thread; what it says may hold a secret."""
    heard: list[int] = []
    ours = threading.get_ident()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == ours:
                heard.append(record.levelno)

    listener, logger = Listener(logging.WARNING), logging.getLogger("apprise")
    logger.addHandler(listener)
    try:
        yield heard
    finally:
        logger.removeHandler(listener)


def _service(url: str) -> Any:
    """A fresh service object, because a used one waits seconds between two messages; None when it cannot be made."""
    apprise = _apprise()
    parsed = apprise.plugins.url_to_dict(url)
    if parsed is None:
        return None
    for key in _NOT_THEIRS:
        parsed.pop(key, None)
    # No timeout of Apprise's own: it would leave a thread behind that goes on sending after we had given it up.
    asset = apprise.AppriseAsset(service_timeout=0, app_id="Maia Exporter", app_desc="Maia Exporter")
    return apprise.Apprise.instantiate({**parsed, **_OURS}, asset=asset)


@lru_cache(maxsize=1)
def _loaded() -> ModuleType:
    import apprise
    import apprise.plugins
    import requests.sessions
    from requests.adapters import HTTPAdapter

    class PageRefusing(HTTPAdapter):
        """Does not take the web page of a proxy or a hotel's sign-in for the answer of a service."""

        def send(self, request: Any, *arguments: Any, **options: Any) -> Any:
            """Send; an answer that is a page is no answer."""
            answer = super().send(request, *arguments, **options)
            if answer.ok and not options.get("stream") and _is_page(answer.content):
                raise requests.ConnectionError(PAGE)
            return answer

    # Apprise lets nobody see an answer that it takes for a success; this is the one place where it can be seen.
    requests.sessions.HTTPAdapter = PageRefusing  # type: ignore[attr-defined]
    return apprise


_loading = threading.Lock()


def _apprise() -> ModuleType:
    with _loading:
        apprise = _loaded()
    # What it says below WARNING is what tells one failure from another, and is full of secrets: it goes to nobody.
    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    for name in ("urllib3", "requests"):
        if logging.getLogger(name).level < logging.INFO:
            logging.getLogger(name).setLevel(logging.INFO)
    return apprise


def _is_page(content: bytes) -> bool:
    return content[:100].lstrip(b"\xef\xbb\xbf \t\r\n")[:14].lower().startswith((b"<!doctype html", b"<html"))
