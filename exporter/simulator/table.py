"""Takes values out of one TOML table, strictly: every error names the file, the key and what to write instead.

Must not know what a script says.
"""

from __future__ import annotations

import difflib
from datetime import timedelta
from typing import Any

from exporter.simulator.times import parse_duration


class ScriptError(ValueError):
    """A script cannot be used; the message is for the person who wrote it."""


def nearest(word: str, words: list[str]) -> str:
    """What somebody may have meant, as the end of an error message."""
    near = difflib.get_close_matches(word, words, n=1)
    return f'; did you mean "{near[0]}"?' if near else f"; known are {', '.join(words)}"


_REQUIRED: Any = object()
_KINDS: dict[object, str] = {str: "a string", bool: "true or false", dict: "a table", list: "a list"}


class Table:
    """One TOML table, whose keys are taken one by one; `close` refuses what nobody took."""

    def __init__(self, source: str, path: str, data: dict[str, Any]) -> None:
        self._source, self._path, self._data = source, path, data
        self._taken: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def error(self, key: str, reason: str) -> ScriptError:
        """What is wrong with a key, naming file and place."""
        return ScriptError(f"{self._source}: {self._path}{key}: {reason}")

    def raw(self, key: str, kind: type | tuple[type, ...], default: Any = _REQUIRED) -> Any:
        """A value of one of these types."""
        self._taken.append(key)
        if key not in self._data:
            if default is _REQUIRED:
                raise self.error(key, "is missing")
            return default
        value = self._data[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            wanted = _KINDS.get(kind, "a number")
            raise self.error(key, f"{value!r} is not {wanted}")
        return value

    def text(self, key: str, default: str = _REQUIRED) -> str:
        """A string."""
        return str(self.raw(key, str, default))

    def flag(self, key: str, *, default: bool = _REQUIRED) -> bool:
        """True or false."""
        return bool(self.raw(key, bool, default))

    def number(self, key: str, default: float, *, least: float, most: float = float("inf")) -> float:
        """A number within bounds."""
        value = float(self.raw(key, (int, float), default))
        if not least <= value <= most:
            raise self.error(key, f"{value:g} is not between {least:g} and {most:g}")
        return value

    def duration(self, key: str, default: Any = _REQUIRED, *, signed: bool = False) -> Any:
        """A timedelta from a string with a unit; negative only where `signed`."""
        if key not in self._data and default is not _REQUIRED:
            self._taken.append(key)
            return default
        try:
            value = parse_duration(self.text(key))
        except ScriptError:
            raise
        except ValueError as error:
            raise self.error(key, str(error)) from error
        if value < timedelta() and not signed:
            raise self.error(key, f"{self._data[key]!r} is negative")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str = _REQUIRED) -> str:
        """One of several words."""
        value = self.text(key, default)
        if value not in choices and key in self._data:
            raise self.error(key, f"{value!r} is unknown{nearest(value, list(choices))}")
        return value

    def texts(self, key: str, default: tuple[str, ...], *, among: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of strings."""
        values = tuple(self.raw(key, list, list(default)))
        for value in values:
            if not isinstance(value, str):
                raise self.error(key, f"{value!r} is not a string")
            if among and value not in among:
                raise self.error(key, f"{value!r} is unknown{nearest(value, list(among))}")
        return values

    def weights(
        self, key: str, words: tuple[str, ...], default: tuple[tuple[str, float], ...]
    ) -> tuple[tuple[str, float], ...]:
        """A table of words and weights."""
        weights = self.raw(key, dict, dict(default))
        for word, weight in weights.items():
            if word not in words:
                raise self.error(f"{key}.{word}", f"unknown{nearest(word, list(words))}")
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or weight < 0:
                raise self.error(f"{key}.{word}", f"{weight!r} is not a weight; write a number from 0 up")
        if sum(weights.values()) <= 0:
            raise self.error(key, "all weights are 0")
        return tuple(weights.items())

    def table(self, key: str) -> Table:
        """A table inside this one; empty where absent."""
        return Table(self._source, f"{self._path}{key}.", self.raw(key, dict, {}))

    def tables(self, key: str) -> list[Table]:
        """A list of tables inside this one."""
        items = self.raw(key, list, [])
        if not all(isinstance(item, dict) for item in items):
            raise self.error(key, f"write [[{key}]]")
        return [Table(self._source, f"{self._path}{key}[{n}].", item) for n, item in enumerate(items, 1)]

    def rest(self) -> dict[str, Any]:
        """Everything that nobody took."""
        return {key: value for key, value in self._data.items() if key not in self._taken}

    def close(self) -> None:
        """ScriptError for the first key that nobody took."""
        for key in self.rest():
            raise self.error(key, f"unknown key{nearest(key, sorted(set(self._taken)))}")
