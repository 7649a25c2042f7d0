"""What the outbox says of itself: `maia_notification*`. The numbers stand in the store and outlive us.

Told by the notifier after each delivery. Must not read the store.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from exporter.core.delivery import FAILURES
from exporter.core.notice import EventKind
from exporter.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.metrics.self_metrics import SelfMetrics
    from exporter.store.outbox_views import Standing


class NotificationMetrics:
    """The families about deliveries; a target that the config no longer has is not shown."""

    def __init__(self, ours: SelfMetrics) -> None:
        self._ours = ours
        registry = ours.registry
        self._sent = registry.recorded(catalogue.NOTIFICATIONS)
        self._failed = registry.recorded(catalogue.NOTIFICATION_FAILURES)
        self._queue = registry.recorded(catalogue.NOTIFICATION_QUEUE)
        self._oldest_pending = registry.recorded(catalogue.NOTIFICATION_OLDEST_PENDING)
        self._last_success = registry.recorded(catalogue.NOTIFICATION_LAST_SUCCESS)
        self._suspended = registry.recorded(catalogue.NOTIFICATION_SUSPENDED)
        self._dead_letters = registry.recorded(catalogue.NOTIFICATION_DEAD_LETTERS)

    def show(self, standing: Standing) -> None:
        """Show the counters and the targets as the store has them."""
        targets = standing.targets
        self._sent.set_each(_from_zero(standing.sent, product(targets, EventKind)))
        self._failed.set_each(_from_zero(standing.failed, product(targets, FAILURES)))
        self._queue.set_each({name: target.waiting for name, target in targets.items()})
        self._suspended.set_each({name: target.suspended for name, target in targets.items()})
        self._dead_letters.set_each({name: target.dead_letters for name, target in targets.items()})
        self._oldest_pending.set_each(
            {name: at.timestamp() for name, target in targets.items() if (at := target.oldest_waiting_at)}
        )
        self._last_success.set_each(
            {name: at.timestamp() for name, target in targets.items() if (at := target.last_success_at)}
        )
        self._ours.notifications_suppressed(standing.suppressed)


def _from_zero(
    counted: Mapping[tuple[str, str], int], labels: Iterable[tuple[str, str]]
) -> dict[tuple[str, ...], float]:
    """A closed set of labels has all its values from the start."""
    return {(first, str(second)): counted.get((first, str(second)), 0) for first, second in labels}
