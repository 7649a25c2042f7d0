"""What is wrong with a config: one line per problem, all of them in one error.

Must not show a secret: texts of URLs end after the host, and whoever raises `ConfigError` names the secrets to hide.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MASK = "**********"
"""What stands where a secret would."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_SHOWN = 100  # characters of a value: enough to recognise it
_LARGEST_SHOWN = 10**18
_SHORTEST_SECRET = 4  # hiding "a" wherever it occurs would make the message unreadable and protect nothing


class BadValueError(ValueError):
    """A value that cannot be used: `what` is wrong (no secret is quoted) and a `hint` how to mend it."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend: in which table (`[poll]`), at which key ("" = the table itself), what, and a hint."""

    table: str
    key: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        """Without the file: `[poll] intervall: unknown key; did you mean "interval"?`."""
        where = " ".join(part for part in (self.table, self.key) if part)
        text = f"{where}: {self.what}" if where else self.what
        return f"{text}; {self.hint}" if self.hint else text


class ConfigError(Exception):
    """A config that cannot be used; its text has one line per problem, each beginning with the `source`.

    What `secrets` names is masked wherever it stands, and not kept.
    """

    def __init__(self, source: str, problems: Iterable[Problem], *, secrets: Iterable[str] = ()) -> None:
        hide = _hiding(secrets)
        self.source = source
        self.problems = tuple(Problem(hide(p.table), hide(p.key), hide(p.what), hide(p.hint)) for p in problems)
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))


def _hiding(secrets: Iterable[str]) -> Callable[[str], str]:
    forms = {form for secret in secrets if len(secret) >= _SHORTEST_SECRET for form in (secret, _on_one_line(secret))}
    longest_first = sorted(forms, key=len, reverse=True)
    hidden = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
    # Values stand in quotes; our own words do not, and stay readable when the secret is one of them.
    return lambda text: _QUOTED.sub(lambda value: hidden.sub(MASK, value[0]), text)


def quoted(text: str) -> str:
    """Put a text in double quotes, on one line, cut; of a URL the scheme, and the host only where it is a web page's.

    What people paste into the wrong place is a URL with tokens in it, and Apprise has them right after the `://`.
    """
    scheme, separator, rest = text.partition("://")
    if separator:
        host = re.split(r"[/?#]", rest)[0].rpartition("@")[2] if scheme in ("http", "https") else ""
        text = f"{scheme}://{host}/…" if host else f"{scheme}://…"
    if len(text) > _SHOWN:
        text = f"{text[:_SHOWN]}…"
    return f'"{_on_one_line(text)}"'


def _on_one_line(text: str) -> str:
    """Escape as TOML and JSON do, and whatever a terminal would not print as it is."""
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in escaped)


def shown(value: object) -> str:
    """Show a value as the file has it where that is short; otherwise what kind of value it is."""
    match value:
        case str():
            return quoted(value)
        case bool():
            return "true" if value else "false"
        case int() if abs(value) < _LARGEST_SHOWN:
            return str(value)
        case float():
            return str(value)
        case int():
            return "a very large number"
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
        case _:
            return "a date or time"


def shown_key(key: str) -> str:
    """Show a key as the file has it."""
    return key if _BARE_KEY.fullmatch(key) else quoted(key)


def suggestion(word: str, known: Iterable[str], *, show: Callable[[str], str] = quoted) -> str:
    """Hint at the known word that was probably meant, else at all of them."""
    words = list(known)
    by_case = {known_word.lower(): known_word for known_word in words}
    close = get_close_matches(word.lower(), by_case, n=1)
    if close:
        return f"did you mean {show(by_case[close[0]])}?"
    return f"known: {', '.join(map(show, words))}" if words else ""
