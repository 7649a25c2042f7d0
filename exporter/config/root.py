"""The whole config as one frozen value: a line per table, and what can be said about all of them together.

A table is known when it has a line in `Config`; nothing else lists them.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from exporter.config.alerting import AlertSettings, Expectation, Route, Target
from exporter.config.limits import CancelSettings, Limit
from exporter.config.section import Section
from exporter.config.sections import (
    MaiaSettings,
    MetricsSettings,
    PollSettings,
    StoreSettings,
    WebSettings,
)
from exporter.core.durations import duration_literal

CALLS_PER_POLL = 3
"""What an idle poll costs."""


class Config(Section):
    """Everything `config.toml` says, checked. Durations are `timedelta`, lists are tuples, secrets mask themselves."""

    maia: MaiaSettings
    poll: PollSettings = Field(default_factory=PollSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    targets: tuple[Target, ...] = ()
    routes: tuple[Route, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    cancel: CancelSettings = Field(default_factory=CancelSettings)
    limits: tuple[Limit, ...] = ()

    def effective(self) -> dict[str, Any]:
        """Show the config in force as plain data: keys as in the file, durations as strings, secrets masked."""
        return self.model_dump(mode="json", by_alias=True)

    def warnings(self) -> tuple[str, ...]:
        """Say what is allowed and yet probably not meant, one line each."""
        return (*self._budget_warnings(), *self._unused())

    def _budget_warnings(self) -> list[str]:
        polls_per_minute = 60 / self.poll.interval.total_seconds()
        needed = CALLS_PER_POLL * polls_per_minute
        if needed <= self.maia.requests_per_minute:
            return []
        return [
            f'[poll] interval: "{duration_literal(self.poll.interval)}" takes {needed:.0f} requests a minute, '
            f"[maia] requests_per_minute allows {self.maia.requests_per_minute}; polls will be late"
        ]

    def _unused(self) -> list[str]:
        unused = []
        if self.maia.ignores_region:
            unused.append("[maia] region: ignored, because api_url and token_url are given")
        named = {name for route in self.routes for name in route.targets}
        for number, target in enumerate(self.targets, 1):
            if self.routes and target.name not in named:
                unused.append(f'[[targets]] #{number} "{target.name}": no route names it, so it is told nothing')
        return unused
