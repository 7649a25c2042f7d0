"""What the config says about delivery, as the notifier and the deciders need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.core.notice import EventKind
from exporter.core.routing import Notify, Route, Routing
from exporter.notifier.composer import Composer
from exporter.notifier.office import Endpoint, Settings

if TYPE_CHECKING:
    from exporter.config.root import Config


def settings(config: Config) -> Settings:
    """Where the targets are, and what their messages look like."""
    return Settings(
        endpoints=tuple(
            Endpoint(name=target.name, url=target.url.get_secret_value(), per_minute=target.max_per_minute)
            for target in config.targets
        ),
        composer=Composer(zone=config.alerts.zone, run_url=config.maia.run_url, external_url=config.web.external_url),
        max_age=config.alerts.max_age,
        retention=config.store.retention,
        heartbeat_url=config.alerts.heartbeat_url.get_secret_value(),
    )


def routing(config: Config) -> Routing:
    """Who is told what."""
    return Routing(
        targets=tuple(target.name for target in config.targets),
        routes=tuple(
            Route(
                targets=route.targets,
                events=frozenset(map(EventKind, route.events)),
                scope=route.scope,
                triggers=route.triggers,
                notify=Notify(route.notify),
                remind_every=route.remind_every,
                continues=route.continue_,
            )
            for route in config.routes
        ),
    )
