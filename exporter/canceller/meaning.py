"""What the config's [cancel] and [[limits]] mean to the core. Must not decide anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.core.limits.decide import Policy
from exporter.core.limits.rules import LimitRule, Mode

if TYPE_CHECKING:
    from exporter.config.root import Config


def rules_of(config: Config) -> tuple[LimitRule, ...]:
    """[[limits]], in their order."""
    return tuple(
        LimitRule(
            name=limit.name,
            mode=Mode(limit.mode),
            scope=limit.scope,
            triggers=limit.triggers,
            warn_after=limit.warn_after,
            cancel_after=limit.cancel_after,
            force_after=limit.force_after,
            stuck_after=limit.stuck_after,
        )
        for limit in config.limits
    )


def policy_of(config: Config) -> Policy:
    """[cancel], and how long a poll's data are fresh."""
    return Policy.of(max_per_hour=config.cancel.max_per_hour, interval=config.poll.interval)
