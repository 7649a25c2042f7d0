"""The tables that every installation has: [maia], [poll], [web], [store], [metrics].

Keys and defaults are those of `config.toml`. What concerns several tables is in `exporter.config.checks`.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from exporter.config.addresses import (
    api_address,
    listen_address,
    masked_store_address,
    page_address,
    run_link,
    store_address,
    store_passwords,
)
from exporter.config.errors import BadValueError, quoted, suggestion
from exporter.config.matchers import Matchers
from exporter.config.section import Section, folder_of
from exporter.config.values import (
    Duration,
    Flag,
    GlobsOrNone,
    NeededSecret,
    NonEmpty,
    Text,
    Whole,
    bucket,
    entries,
)
from exporter.core.globs import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

API_URLS = {region: f"https://{region}.api.matillion.com/dpc" for region in ("eu1", "us1", "au1")}
"""Where each region's API lives."""

TOKEN_URL = "https://id.core.matillion.com/oauth/dpc/token"  # noqa: S105 - an address, no secret
"""Where tokens come from, in every region."""


class MaiaSettings(Section):
    """[maia]: the account. `api_url` and `token_url` are always filled in, from the region if need be."""

    api_url: Annotated[str, BeforeValidator(api_address)] = ""
    token_url: Annotated[str, BeforeValidator(api_address)] = ""
    region: Text = "eu1"
    client_id: NonEmpty = Field(examples=['client_id = "${MAIA_CLIENT_ID}"'])
    client_secret: NeededSecret = Field(examples=['client_secret = "${MAIA_CLIENT_SECRET}", or client_secret_file'])
    requests_per_minute: Whole = 120
    request_timeout: Duration = timedelta(seconds=30)
    run_url: Annotated[str, BeforeValidator(run_link)] = (
        "https://app.matillion.com/observability-dashboard/pipeline/{run_id}"
    )

    @model_validator(mode="before")
    @classmethod
    def _urls_of_the_region(cls, table: dict[str, Any]) -> dict[str, Any]:
        """Fill in both URLs where neither is given; what is wrong is left for the fields to say."""
        if table.get("api_url", "") != "" or table.get("token_url", "") != "":
            return {"region": "", **table}
        region = table.get("region", cls.model_fields["region"].default)
        if not isinstance(region, str) or region not in API_URLS:
            return table
        return {**table, "api_url": API_URLS[region], "token_url": TOKEN_URL}

    @field_validator("token_url")
    @classmethod
    def _both_urls_or_none(cls, value: str, info: ValidationInfo) -> str:
        api_url_given = info.data.get("api_url") != ""  # a broken one, which is not among the data, was given
        if api_url_given != bool(value):
            what = "is missing beside api_url" if api_url_given else "needs api_url as well"
            raise BadValueError(what, "give both, or a region and neither")
        return value

    @field_validator("region")
    @classmethod
    def _known_region(cls, value: str, info: ValidationInfo) -> str:
        if value not in API_URLS and (value or info.data.get("api_url") == info.data.get("token_url") == ""):
            raise BadValueError(f"{quoted(value)} is no region", suggestion(value, API_URLS))
        return value

    @property
    def ignores_region(self) -> bool:
        """Whether a region is named and yet other URLs are used."""
        return self.region != "" and self.api_url != API_URLS[self.region]


class PollScope(Matchers):
    """What is watched: the matchers of [poll]."""

    exclude_pipelines: GlobsOrNone = ()

    @property
    def scope(self) -> Scope:
        """The matchers, ready to be asked."""
        return Scope(self.projects, self.environments, self.pipelines, self.exclude_pipelines)


class PollSettings(PollScope):
    """[poll]: how often what is read."""

    interval: Duration = timedelta(seconds=30)
    lookback: Duration = timedelta(days=7)
    discovery: Duration = timedelta(minutes=15)


class WebSettings(Section):
    """[web]: what we serve, where, to whom."""

    listen: Text = "0.0.0.0:9986"
    external_url: Annotated[str, BeforeValidator(page_address)] = ""
    open_page: Flag = False
    config_file: Text = ""

    @field_validator("listen")
    @classmethod
    def _is_host_and_port(cls, value: str) -> str:
        listen_address(value)
        return value

    @field_validator("config_file")
    @classmethod
    def _exists(cls, value: str, info: ValidationInfo) -> str:
        if not value:
            return value
        path = (folder_of(info) or Path()) / value
        if not path.is_file():
            raise BadValueError(f"{quoted(value)} is not a file", "relative paths start at the config file's folder")
        return str(path)

    @property
    def listen_host(self) -> str:
        """The address to listen on, an IPv6 address without its brackets."""
        return listen_address(self.listen)[0]

    @property
    def listen_port(self) -> int:
        """The port to listen on; 0 lets the system choose."""
        return listen_address(self.listen)[1]


class StoreSettings(Section):
    """[store]: the durable record. `url` is a SQLAlchemy URL, secret because it may hold a password."""

    url: NeededSecret = SecretStr("sqlite:///maia-exporter.db")
    retention: Duration = timedelta(days=90)

    @field_validator("url")
    @classmethod
    def _sqlite_or_postgresql(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        return SecretStr(store_address(value.get_secret_value(), folder_of(info)))

    @field_serializer("url", when_used="json")
    def _masked(self, value: SecretStr) -> str:
        return masked_store_address(value.get_secret_value())

    def secrets(self) -> Iterator[str]:
        """The password alone: where the record is, people have to be told."""
        yield from store_passwords(self.url.get_secret_value())


class MetricsSettings(Section):
    """[metrics]: how much is exposed."""

    max_pipelines: Whole = 2_000
    duration_buckets: Annotated[tuple[Annotated[float, BeforeValidator(bucket)], ...], BeforeValidator(entries)] = ()

    @field_validator("duration_buckets")
    @classmethod
    def _rising(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        for lower, higher in pairwise(value):
            if lower >= higher:
                raise BadValueError(f"{higher:g} after {lower:g} does not rise", "order the bounds, each once")
        return value
