"""What the page shows beyond the metrics, and where it comes from. The defaults are those of a service without any.

Everything here is asked on the page's own thread (`exporter.web.page.press`), so it may read the record.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exporter.core.limits.rules import Coverage
from exporter.core.limits.runs import LimitedRun, Limits

if TYPE_CHECKING:
    from starlette.types import Scope

    from exporter.core.silences import Silence
    from exporter.core.state import RunRecord
    from exporter.store.outbox_views import TargetStanding

NO_LIMITS = (Limits(), Coverage())


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Targets and silences as they stand. `trouble` is why they could not be read, without secrets."""

    targets: Mapping[str, TargetStanding] = field(default_factory=dict)
    silences: tuple[Silence, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stories:
    """What the record holds of some runs that have ended, by run id; what it does not have is left out."""

    runs: Mapping[str, RunRecord] = field(default_factory=dict)
    limited: Mapping[str, LimitedRun] = field(default_factory=dict)  # those that went past a limit
    trouble: str = ""  # why they could not be read, without secrets


def _reveals_nothing(_: Scope) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSources:
    """Where the page's facts come from."""

    reveals: Callable[[Scope], bool] = _reveals_nothing
    """Whether the sender of a request may see users, messages and the config (`exporter.web.revealing`)."""
    limits: Callable[[], tuple[Limits, Coverage]] = lambda: NO_LIMITS
    around: Callable[[], Around] = Around
    stories: Callable[[Collection[str]], Stories] = lambda _: Stories()
    config: Callable[[], Mapping[str, Any]] = dict
    """The config in force as plain data, its secrets masked."""
    run_url: Callable[[], str] = lambda: ""
    """A run's page in Maia, with `{run_id}` where its id belongs."""
