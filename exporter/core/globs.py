"""Globs: which projects, environments, pipelines and triggers a rule is about.

Case-sensitive `*`, `?` and `[…]`; `*` crosses `/`. Patterns come as tuples, so that what they compile to is
remembered. Must not know what the rules decide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

EVERYTHING = ("*",)
"""The patterns of a matcher that was left out."""

PIPELINE_EXTENSIONS = (".orch.yaml", ".tran.yaml", ".yaml", ".yml")
"""What a pipeline's file name ends in, longest first."""

_REMEMBERED = 4_096  # distinct matchers: far more than one config and its silences have


@dataclass(frozen=True, slots=True)
class Scope:
    """Which pipelines are meant: all three matchers must match, and no exclusion."""

    projects: tuple[str, ...] = EVERYTHING
    environments: tuple[str, ...] = EVERYTHING
    pipelines: tuple[str, ...] = EVERYTHING
    exclude_pipelines: tuple[str, ...] = ()

    def contains(self, pipeline: str, *, environment: str, project: str, project_id: str) -> bool:
        """Whether it means this pipeline (its path), in this environment, in the project of this name and id."""
        return (
            matches_name(self.environments, environment)
            and matches_project(self.projects, name=project, project_id=project_id)
            and matches_pipeline(self.pipelines, pipeline)
            and not matches_pipeline(self.exclude_pipelines, pipeline)
        )


def is_literal(pattern: str) -> bool:
    """Whether it stands for exactly one name."""
    return not any(character in "*?[" for character in pattern)


def is_everything(pattern: str) -> bool:
    """Whether it matches every name there can be."""
    return set(pattern) == {"*"}


def matches_name(patterns: tuple[str, ...], name: str) -> bool:
    """Whether one of the patterns matches the name of an environment or a trigger."""
    return _compiled(patterns).match(name) is not None


def matches_project(patterns: tuple[str, ...], *, name: str, project_id: str) -> bool:
    """Whether one of the patterns matches a project's name or its id."""
    compiled = _compiled(patterns)
    return compiled.match(name) is not None or compiled.match(project_id) is not None


def matches_pipeline(patterns: tuple[str, ...], name: str) -> bool:
    """Whether one of the patterns matches a pipeline, given as its path in the project.

    A pattern is held against the whole path; one without `/` also against the last part, with and without extension.
    """
    if _compiled(patterns).match(name) is not None:
        return True
    short = _compiled_short(patterns)
    if short is None:
        return False
    last = pipeline_file(name)
    return short.match(last) is not None or short.match(without_extension(last)) is not None


def pipeline_file(name: str) -> str:
    """Return the pipeline without its folders: `nightly.orch.yaml` of `finance/nightly.orch.yaml`."""
    return name.rpartition("/")[2]


def without_extension(name: str) -> str:
    """Return the pipeline without its extension: `finance/nightly` of `finance/nightly.orch.yaml`."""
    for extension in PIPELINE_EXTENSIONS:
        if name.endswith(extension):
            return name.removesuffix(extension)
    return name


@lru_cache(maxsize=_REMEMBERED)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for all patterns; no pattern matches nothing."""
    return re.compile("|".join(translate(pattern) for pattern in patterns) or r"(?!)")


@lru_cache(maxsize=_REMEMBERED)
def _compiled_short(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    """Compile the patterns without a `/`; None where there are none."""
    short = tuple(pattern for pattern in patterns if "/" not in pattern)
    return _compiled(short) if short else None
