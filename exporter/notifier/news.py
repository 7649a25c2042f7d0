"""Tells the other targets about one: what a settlement says of a target becomes an EXPORTER event in the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.core import exporter_notice
from exporter.core.delivery import News
from exporter.core.routing import RoutingEpoch, Switchboard
from exporter.store import outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from exporter.core.delivery import TargetNews
    from exporter.core.notice import Notice
    from exporter.core.routing import Routing


def reporter(routing: Callable[[], Routing]) -> Callable[[Connection, TargetNews], None]:
    """What records news on the connection of the settlement, for every target that `routing()` tells of EXPORTER."""

    def report(connection: Connection, news: TargetNews) -> None:
        switchboard = Switchboard(epochs=(RoutingEpoch(since=news.at, routing=routing()),), now=news.at)
        decision = switchboard.broadcast(notice_of(news), but=news.target)
        outbox.record(connection, (decision,), now=news.at)

    return report


def notice_of(news: TargetNews) -> Notice:
    """The news in words."""
    match news.news:
        case News.SUSPENDED:
            return exporter_notice.target_suspended(news.target, reason=news.reason, at=news.at)
        case News.BACK:
            return exporter_notice.target_back(news.target, since=news.since, at=news.at)
        case News.DEAD_LETTERS:
            return exporter_notice.dead_letters(news.target, count=news.dead_letters, reason=news.reason, at=news.at)
