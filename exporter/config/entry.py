"""One table of the file on its way to a value: expanded, its secret files read, validated, its problems collected.

Must not look at any other table; `exporter.config.checks` does that with what comes out here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from exporter.config.errors import BadValueError, Problem, shown_key, suggestion
from exporter.config.expand import expand, read_secret_file
from exporter.config.section import BROKEN, Section, Surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

SectionT = TypeVar("SectionT", bound=Section)


@dataclass(frozen=True, slots=True)
class Entry:
    """A table as read: `value` is None when something in it is wrong, `broken` are the keys that are."""

    label: str
    table: Mapping[str, Any] = field(repr=False)
    value: Section | None
    problems: tuple[Problem, ...]
    broken: frozenset[str]
    secrets: tuple[str, ...] = field(repr=False)
    surroundings: Surroundings

    def part(self, model: type[SectionT], *needed: str) -> SectionT | None:
        """Read a model from those of its keys that are right; None when one of the `needed` is not."""
        if self.broken & set(needed):
            return None
        keys = model.examples().keys() - self.broken
        return model.model_validate({k: v for k, v in self.table.items() if k in keys}, context=self.surroundings)

    def problem(self, key: str, what: str, hint: str = "") -> Problem:
        """Say that something is wrong with one of its keys."""
        return Problem(self.label, key, what, hint)


def read_entry(
    model: type[Section], raw: Mapping[str, Any], *, label: str, env: Mapping[str, str], folder: Path
) -> Entry:
    """Turn one table of the file into an entry. Reads the files that `…_file` keys of secrets name, nothing else."""
    table: dict[str, Any] = {}
    found: list[tuple[str, BadValueError]] = []
    for key, value in raw.items():
        try:
            table[key] = expand(value, env) if key in model.known_keys() else value
        except BadValueError as error:
            table[key] = BROKEN
            found.append((key, error))
    secrets = _secrets(table, model)
    for key in model.secret_keys():
        try:
            _take_secret_from_file(table, key, folder)
        except BadValueError as error:
            table[key] = BROKEN
            found.append((f"{key}_file", error))
    surroundings = Surroundings(folder)
    known_broken = {key for key, value in table.items() if value is BROKEN}
    value = None
    try:
        value = model.model_validate(table, context=surroundings)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            key = str(detail["loc"][0])
            if key not in known_broken:
                found.append((key, _as_invalid(detail, model)))
    return Entry(
        label=label,
        table=table,
        value=value,
        problems=tuple(Problem(label, shown_key(key), error.what, error.hint) for key, error in found),
        broken=frozenset(known_broken.union(key for key, _ in found)),
        secrets=(*secrets, *_secrets(table, model)),
        surroundings=surroundings,
    )


def _secrets(table: Mapping[str, Any], model: type[Section]) -> list[str]:
    return [value for key in model.secret_keys() if isinstance(value := table.get(key), str)]


def _take_secret_from_file(table: dict[str, Any], key: str, folder: Path) -> None:
    """Replace `<key>_file` by `<key>`; an empty string counts as left out, so that either can come from a variable."""
    file = table.pop(f"{key}_file", "")
    if file == "":
        return
    if file is BROKEN:
        table[key] = BROKEN
    elif table.get(key, "") != "":
        raise BadValueError(f"{key} is given as well", "keep one of the two")
    else:
        table[key] = read_secret_file(file, folder)


def _as_invalid(detail: ErrorDetails, model: type[Section]) -> BadValueError:
    """Put what pydantic found into our words; its own may quote the input."""
    key = str(detail["loc"][0])
    match detail["type"]:
        case "extra_forbidden":
            return BadValueError("unknown key", suggestion(key, model.known_keys()))
        case "missing":
            return BadValueError("is missing", f"write {model.examples()[key]}")
        case _:
            error: BadValueError = detail["ctx"]["error"]  # our own validators stand before all of pydantic's
            return error
