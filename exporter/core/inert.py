"""Makes text of the API harmless: no mention, link, markup or control of its making works where we show it.

What people read stays as it was, apart from a space or a pair of brackets where something would have come to life.
Escaping for HTML is the page's business, for Slack Apprise's. Must not know what the text says.
"""

from __future__ import annotations

import re

LINE_BREAK = " ⏎ "
"""Where the text had line breaks: a message has one fact a line, and a second line could pass for another fact."""

_ESCAPE_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor movements
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # titles, hyperlinks, device strings
    r"|\x1b[ -/]*[0-~]"
)
_LINE_BREAKS = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # controls that are no white space
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners, marks, fillers
    "\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0"  # zero width, direction
    "\ufff0-\ufffc\ufffe\uffff\ufdd0-\ufdef"  # annotations, no characters
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"  # format controls, tags
)
_EMOJI = "[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff]"
_JOINER = re.compile(f"(?<!{_EMOJI})\u200d|\u200d(?!{_EMOJI})")
"""The zero-width joiner stays only where it joins emoji."""

_MENTION = re.compile(r"(?<![\w.+-])@(?=\w)")  # @here; not jane@example.com
_SLACK_COMMAND = re.compile(r"<([!#])(?=\S)")  # <!channel>, <#C1>
_ADDRESS = re.compile(r"://")
_BARE_ADDRESS = re.compile(r"\b(www)\.", re.IGNORECASE)
_ACTION = re.compile(r"\b(mailto|tel|sms):(?=\S)|<([a-z][a-z0-9+.-]*):(?=[^:\s])", re.IGNORECASE)
_ENCODED_WORD = re.compile(r"=\?(?=[\w-]+\?[bq]\?)", re.IGNORECASE)  # a mail subject's =?utf-8?q?…?=

_LOOK_AT_MOST = 4  # times the limit: 100 kB are not read for the sake of 1,000 characters


def inert(text: str, limit: int) -> str:
    """One line of at most `limit` characters in which nothing works; cut at the end with `…`.

    Made inert once more it stays as it is.
    """
    return shortened(_disarmed(visible(text[: limit * _LOOK_AT_MOST])), limit)


def visible(text: str) -> str:
    """One line without what is not seen or shows other text than there is: controls, marks of direction."""
    text = _SURROGATES.sub("\ufffd", _ESCAPE_SEQUENCES.sub("", text))
    text = _JOINER.sub("", _INVISIBLE.sub("", text))
    lines = (" ".join(line.split()) for line in _LINE_BREAKS.split(text))
    return LINE_BREAK.join(filter(None, lines))


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters of the beginning."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def shortened_middle(text: str, limit: int) -> str:
    """At most `limit` characters: the beginning and the end, which in names tell more than the middle."""
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"


def plain_ascii(text: str) -> str:
    """Only what every system in the world accepts; `?` for everything else."""
    return "".join(character if " " <= character <= "~" else "?" for character in text)


def _disarmed(text: str) -> str:
    text = _ADDRESS.sub("[:]//", text)
    text = _BARE_ADDRESS.sub(r"\1[.]", text)
    text = _ACTION.sub(_with_brackets, text)
    text = _SLACK_COMMAND.sub(r"<\1 ", text)
    text = _MENTION.sub("@ ", text)
    return _ENCODED_WORD.sub("= ?", text)


def _with_brackets(match: re.Match[str]) -> str:
    return match[0].replace(":", "[:]")
