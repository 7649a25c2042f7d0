"""A YAML file read strictly: no key twice, none that is unknown, every scalar as it is written.

Must not quote a value, which may be a secret, nor guess types: `on` is a flag where a flag belongs, else a word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from exporter.config.errors import MASK, BadValueError, Problem, quoted, shown_key, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

_FLAGS = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
"""YAML 1.1's, which the exporter-toolkit reads."""

_SECRET = re.compile(r"\$2[a-z]?\$[^\s\"]*|(?<=\")-----BEGIN[^\"]*")
"""A password's hash, or a key, wherever it was put by mistake."""

_STANDARD = "tag:yaml.org,2002:"
_NULL = f"{_STANDARD}null"


def compose(content: bytes) -> yaml.Node | None:
    """Parse a file's content; None when it is empty. Raises `BadValueError`."""
    try:
        return yaml.compose(content.decode(), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise BadValueError(f"no valid YAML{where}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise BadValueError("no valid YAML: it is not plain UTF-8 text, or nested too deeply") from None


class Branch:
    """Keys and values below one key. What is wrong is added to `problems`, and reads as if it were left out."""

    def __init__(
        self, node: yaml.Node | None, *, path: str = "", known: tuple[str, ...] | None, problems: list[Problem]
    ) -> None:
        """`path` leads here from the top; `known` are the keys there can be, None when they are names."""
        self._path = path
        self._problems = problems
        self._nodes: dict[str, yaml.Node] = {}
        if _is_null(node):
            return
        if not isinstance(node, yaml.MappingNode):
            self.problem("", "expected keys and values")
            return
        for key_node, value in node.value:
            key = _text_of(key_node)
            if key is None:
                self.problem("", "has a key that is no word")
            elif key in self._nodes:
                self.problem(key, "is given twice", "keep one of the two")
            elif known is not None and key not in known:
                self.problem(key, "unknown key", suggestion(key, known))
            else:
                self._nodes[key] = value

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def problem(self, key: str, what: str, hint: str = "") -> None:
        """Say what is wrong at a key, or with the whole branch."""
        path = ".".join(part for part in (self._path, shown_key(key) if key else "") if part)
        self._problems.append(Problem("", *(_SECRET.sub(MASK, text) for text in (path, what, hint))))

    def given(self, key: str) -> bool:
        """Whether a key has a value, right or wrong."""
        node = self._nodes.get(key)
        return not _is_null(node) and not (isinstance(node, yaml.ScalarNode) and node.value == "")

    def branch(self, key: str, *, known: tuple[str, ...] | None) -> Branch:
        """Keys and values below one of the keys; empty when it is not there."""
        path = f"{self._path}.{key}" if self._path else key
        return Branch(self._nodes.get(key), path=path, known=known, problems=self._problems)

    def text(self, key: str) -> str:
        """A scalar as it is written; "" when it is not there, or empty."""
        node = self._nodes.get(key)
        if _is_null(node):
            return ""
        text = _text_of(node)
        if text is None:
            self.problem(key, "expected a single value")
        return text or ""

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        text = self.text(key)
        if text and text not in _FLAGS:
            self.problem(key, f"expected true or false, not {quoted(text)}")
        return _FLAGS.get(text, default)

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of scalars; None when it is not there."""
        node = self._nodes.get(key)
        if _is_null(node):
            return None
        texts = [_text_of(item) for item in node.value] if isinstance(node, yaml.SequenceNode) else [None]
        if None in texts:
            self.problem(key, "expected a list of single values")
            return None
        return tuple(text for text in texts if text is not None)


def _text_of(node: yaml.Node | None) -> str | None:
    """A scalar as it is written; None for all else, and for what could be no name of a file nor be shown."""
    if not isinstance(node, yaml.ScalarNode) or not node.tag.startswith(_STANDARD):
        return None
    text = str(node.value)
    return None if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text) else text


def _is_null(node: yaml.Node | None) -> bool:
    return node is None or (isinstance(node, yaml.ScalarNode) and node.tag == _NULL)
