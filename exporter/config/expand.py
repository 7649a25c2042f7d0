"""What stands outside the file: environment variables in its strings, and files that hold its secrets.

Must not quote a value: it may be a secret.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exporter.config.errors import BadValueError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_VARIABLE = re.compile(r"\$(?P<escape>\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(:-(?P<default>[^}]*))?\}|\$\{")
_FILE_HINT = "write the path of a file that holds the secret and nothing else"
_LARGEST_FILE = 65_536  # bytes: a wrong path may lead to something endless


def expand(value: object, env: Mapping[str, str]) -> object:
    """Put environment variables into a string, or into the strings of a list; anything else stays as it is.

    `${NAME}` must be set, `${NAME:-default}` falls back when it is not set or empty, `$${` stands for `${` itself.
    Raises `BadValueError` with the names of all variables that are not set.
    """
    missing: list[str] = []

    def replacement(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if match["escape"]:
            return "${"
        if name is None:
            raise BadValueError(
                "has ${ without a variable's name and }", "write ${NAME}, or $${ where ${ itself is meant"
            )
        if default is not None:
            return env.get(name) or default
        if name not in env:
            missing.append(name)
        return env.get(name, "")

    def expanded(text: object) -> object:
        return _VARIABLE.sub(replacement, text) if isinstance(text, str) else text

    result = [expanded(item) for item in value] if isinstance(value, list | tuple) else expanded(value)
    if missing:
        names = " and ".join(dict.fromkeys(missing))
        raise BadValueError(f"not set in the environment: {names}", f"set it, or write ${{{missing[0]}:-default}}")
    return result


def read_secret_file(name: object, folder: Path) -> str:
    """Read a secret, without line breaks at its end, from a file; a relative path starts at `folder`.

    Raises `BadValueError` when the file is missing, unreadable, empty, or holds anything but one line of text. The
    message does not show the path: the secret itself may stand in its place by mistake.
    """
    if not isinstance(name, str):
        raise BadValueError("expected a string", _FILE_HINT)
    try:
        with (folder / name).open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        secret = content.decode().rstrip("\r\n")
    except OSError as error:
        raise BadValueError(f"names a file that cannot be read: {error.strerror}", _FILE_HINT) from None
    except ValueError:  # a NUL in the path, or content that is not UTF-8
        raise BadValueError("names a file that cannot be read as text", _FILE_HINT) from None
    if not secret.strip():
        raise BadValueError("names a file that is empty", _FILE_HINT)
    if "\n" in secret or len(content) > _LARGEST_FILE:
        raise BadValueError("names a file that holds more than a secret", _FILE_HINT)
    return secret
