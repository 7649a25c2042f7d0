"""Reads off what Apprise has logged how an attempt went, as nothing else tells.

Knows the words of Apprise 2.2, `requests` and `smtplib`; what it does not know is ambiguous. Must not pass on any of
the text: of what a service says only codes and single lower-case words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exporter.core.delivery import Outcome, OutcomeClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Entry = tuple[str, str]  # level, message

PAGE = "answered with a web page"
"""What our own adapter raises in place of an answer that is one."""

_STATUS = re.compile(r"error=(\d{3})\.?$")
_WORD = re.compile(
    r"""^Response Details:\s*(?:b['"]([a-z_]{3,40})(?:\\n)?['"]$|.*?["']error["']:\s*["']([a-z_]{3,40})["'])""", re.S
)
_SMTP_REPLY = re.compile(r"\((\d{3}), b['\"](\d\.\d{1,3}\.\d{1,3})?")
_BAD_RECIPIENT = re.compile(r"Exception: \{")
_BAD_SENDER = re.compile(r"Exception: \(\d{3}, .*, '[^']*'\)$", re.S)

_BROKEN_WORDS = frozenset(
    (
        "account_inactive",
        "channel_not_found",
        "ekm_access_denied",
        "invalid_auth",
        "is_archived",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "not_authed",
        "not_in_channel",
        "org_login_required",
        "restricted_action",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
    )
)
_POISON_WORDS = frozenset(
    (
        "cannot_parse_attachment",
        "invalid_arguments",
        "invalid_attachments",
        "invalid_blocks",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
        "too_many_attachments",
    )
)
_BROKEN_STATUSES = frozenset((401, 402, 403, 404, 405, 407, 410))
_POISON_STATUSES = frozenset((400, 406, 409, 411, 413, 414, 415, 422))

_NOTHING_HANDED_OVER = (
    ("Connection refused", "connection refused"),
    ("Name or service not known", "no such host"),
    ("NameResolutionError", "no such host"),
    ("Temporary failure in name resolution", "no such host"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate cannot be verified"),
    ("STARTTLS extension not supported", "it does not offer STARTTLS"),
    ("WRONG_VERSION_NUMBER", "no TLS where TLS was expected"),
    ("HANDSHAKE_FAILURE", "the TLS handshake failed"),
    ("ConnectTimeoutError", "no connection in time"),
    ("Tunnel connection failed", "the proxy refused the connection"),
    ("Network is unreachable", "network unreachable"),
    ("No route to host", "no route to host"),
    ("NewConnectionError", "no connection"),
)
"""Words of an exception that came before anything of the message was handed over, and ours for them."""

_ON_ITS_WAY = "Connection aborted"
"""What `requests` says when a connection broke that had been made: whatever the cause, it was being used."""

_CONNECTING = "Connection error while submitting email"
"""What Apprise says when it did not come as far as handing over a mail."""


def outcome_of(logs: Iterable[Entry]) -> Outcome:
    """How a failed attempt went. `logs` is all that Apprise said about it, down to DEBUG."""
    entries = list(logs)
    warnings = [message for level, message in entries if level not in ("DEBUG", "TRACE", "INFO")]
    for message in reversed(warnings):
        if found := _STATUS.search(message):
            return _answered(int(found[1]), _word(entries))
    exceptions = [message for _, message in entries if message.startswith("Socket Exception")]
    said = exceptions[-1] if exceptions else ""
    if any(message.startswith(("Sending email to", _CONNECTING)) for message in warnings):
        return _mail(said, connecting=any(message.startswith(_CONNECTING) for message in warnings))
    return _broken_off(said)


def _answered(status: int, word: str) -> Outcome:
    reason = f"HTTP {status} ({word})" if word else f"HTTP {status}"
    if status == 429 or word in ("ratelimited", "rate_limited"):
        return Outcome(OutcomeClass.THROTTLED, reason)
    if word in _POISON_WORDS or (status in _POISON_STATUSES and word not in _BROKEN_WORDS):
        return Outcome(OutcomeClass.POISON, reason)
    if status in _BROKEN_STATUSES or word in _BROKEN_WORDS:
        return Outcome(OutcomeClass.TARGET_BROKEN, reason)
    if status >= 500 or word:
        return Outcome(OutcomeClass.SERVER_ERROR, reason)
    if 300 <= status < 500:
        return Outcome(OutcomeClass.UNAVAILABLE, reason)
    return Outcome(OutcomeClass.AMBIGUOUS, f"{reason}, but not the answer of this service")


def _word(entries: Sequence[Entry]) -> str:
    for _, message in reversed(entries):
        if found := _WORD.search(message[:2_000]):
            return found[1] or found[2]
    return ""


def _mail(said: str, *, connecting: bool) -> Outcome:
    reply = _SMTP_REPLY.search(said)
    if reply is None:
        outcome = _broken_off(said)
        # Before the mail is handed over nothing can have arrived, whatever went wrong.
        return Outcome(OutcomeClass.UNAVAILABLE, outcome.reason) if connecting else outcome
    code = int(reply[1])
    reason = f"SMTP {code} {reply[2]}" if reply[2] else f"SMTP {code}"
    if code < 500:
        return Outcome(OutcomeClass.UNAVAILABLE, reason)
    if connecting or _BAD_RECIPIENT.search(said) or _BAD_SENDER.search(said):
        return Outcome(OutcomeClass.TARGET_BROKEN, reason)
    return Outcome(OutcomeClass.POISON, reason)


def _broken_off(said: str) -> Outcome:
    if PAGE in said:
        return Outcome(OutcomeClass.AMBIGUOUS, PAGE)
    for words, reason in _NOTHING_HANDED_OVER:
        if words in said and _ON_ITS_WAY not in said:
            return Outcome(OutcomeClass.UNAVAILABLE, reason)
    if "timed out" in said.lower():
        return Outcome(OutcomeClass.AMBIGUOUS, "no answer in time")
    return Outcome(OutcomeClass.AMBIGUOUS, "the connection broke off" if said else "Apprise does not say why")
