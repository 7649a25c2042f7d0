"""Maia Exporter: Prometheus metrics, alerts and run-time limits for pipelines on Maia."""

__version__ = "0.1.0"
