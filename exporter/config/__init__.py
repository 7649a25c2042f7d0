"""The config: `config.toml`, or the environment, as frozen and checked values.

`load` a file, `parse` a text; what is wrong arrives in one `ConfigError`, a line per problem. Rooms: `load` (the way
in), `root` (the whole), `sections`, `alerting`, `limits` (the tables), `values`, `addresses`, `matchers` (what can
stand in them), `expand` (variables, secret files), `entry` and `checks` (one table, rules between them), `errors`.
"""

from exporter.config.alerting import AlertSettings, Expectation, Route, Target
from exporter.config.errors import ConfigError, Problem
from exporter.config.limits import CancelSettings, Limit
from exporter.config.load import ENVIRONMENT_NAMES, from_environment, load, parse
from exporter.config.root import Config
from exporter.config.sections import (
    MaiaSettings,
    MetricsSettings,
    PollSettings,
    StoreSettings,
    WebSettings,
)

__all__ = [
    "ENVIRONMENT_NAMES",
    "AlertSettings",
    "CancelSettings",
    "Config",
    "ConfigError",
    "Expectation",
    "Limit",
    "MaiaSettings",
    "MetricsSettings",
    "PollSettings",
    "Problem",
    "Route",
    "StoreSettings",
    "Target",
    "WebSettings",
    "from_environment",
    "load",
    "parse",
]
