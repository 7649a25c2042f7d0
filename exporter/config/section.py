"""What all tables of the file have in common: frozen values, unknown keys refused, secrets known by type.

Must not know any single table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict, SecretStr

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic import ValidationInfo


class Section(BaseModel):
    """A table of the file, or one row of an array of tables."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,  # a default is written as in the file, and rules between keys see it
        hide_input_in_errors=True,  # an input may be a secret
    )

    @classmethod
    def examples(cls) -> dict[str, str]:
        """Keys as the file has them, each with an example of its line ("" where none is needed)."""
        return {
            field.alias or name: str(field.examples[0]) if field.examples else ""
            for name, field in cls.model_fields.items()
        }

    @classmethod
    def known_keys(cls) -> tuple[str, ...]:
        """All keys the file can have here."""
        return (*cls.examples(), *(f"{key}_file" for key in cls.secret_keys()))

    @classmethod
    def secret_keys(cls) -> tuple[str, ...]:
        """Keys that hold a secret, each of which may come from a file named by `<key>_file` instead."""
        return tuple(name for name, field in cls.model_fields.items() if field.annotation is SecretStr)

    def secrets(self) -> Iterator[str]:
        """What no line may show: every secret value, here and in the tables inside."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, SecretStr):
                    yield item.get_secret_value()
                elif isinstance(item, Section):
                    yield from item.secrets()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a value may depend on beside itself: the folder that relative paths start at."""

    folder: Path


def folder_of(info: ValidationInfo) -> Path | None:
    """Return the config file's folder, where a file (or its stand-in) is being read."""
    return info.context.folder if isinstance(info.context, Surroundings) else None


BROKEN = object()
"""Stands for a value that is already reported, so that nothing else is said about it."""
