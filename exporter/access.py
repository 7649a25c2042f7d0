"""From [maia] of the config to what the API client wants, for the service and the commands alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter import __version__
from exporter.maia.settings import MaiaSettings as ApiSettings

if TYPE_CHECKING:
    from exporter.config.sections import MaiaSettings


def api_settings(maia: MaiaSettings) -> ApiSettings:
    """[maia] as the client wants it."""
    return ApiSettings(
        api_url=maia.api_url,
        token_url=maia.token_url,
        client_id=maia.client_id,
        client_secret=maia.client_secret.get_secret_value(),
        requests_per_minute=maia.requests_per_minute,
        request_timeout=maia.request_timeout.total_seconds(),
        version=__version__,
    )
