"""The Maia API's client: `MaiaClient` makes the calls, `errors` says what can go wrong, `wire` reads the answers.

Nothing outside imports the other modules, except `budget` for its arithmetic.
"""

from exporter.maia.answers import (
    Environment,
    Listing,
    PublishedPipeline,
    Rejection,
    RunPage,
    Schedule,
    Step,
)
from exporter.maia.client import MaiaClient
from exporter.maia.queries import ExecuteRequest, RunQuery
from exporter.maia.settings import MaiaSettings
from exporter.maia.transport import ServerTime
from exporter.maia.watcher import ClientWatcher, SilentWatcher

__all__ = [
    "ClientWatcher",
    "Environment",
    "ExecuteRequest",
    "Listing",
    "MaiaClient",
    "MaiaSettings",
    "PublishedPipeline",
    "Rejection",
    "RunPage",
    "RunQuery",
    "Schedule",
    "ServerTime",
    "SilentWatcher",
    "Step",
]
