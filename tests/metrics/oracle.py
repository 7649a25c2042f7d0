"""The facts about Maia once more, made by prometheus_client out of plain families: slow, simple, independent."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from exporter.core.model import Status
from exporter.metrics.formats import Format
from exporter.metrics.labels import project_labels

P = ["project_name", "environment_name", "pipeline_name"]
ACTIVE = ["RUNNING", "CANCELLING", "UNKNOWN"]
FINISHED = ["SUCCESS", "FAILED", "CANCELLED", "SKIPPED", "FORBIDDEN", "UNKNOWN"]
TRIGGERS = ["DESIGNER", "API", "SCHEDULE", "SCHEDULE_RUN_NOW", "UNKNOWN"]


class Oracle:
    """A collector over a state whose names need no care."""

    def __init__(self, state, bounds):
        self.state, self.bounds = state, bounds
        self.projects = project_labels({key.project_id for key in state.pipelines}, state.project_names)

    def collect(self):
        g, c = GaugeMetricFamily, CounterMetricFamily
        yield self.family(g, "maia_pipeline_active_runs", self.active, "status")
        yield self.family(g, "maia_pipeline_oldest_active_run_start_timestamp_seconds", self.oldest_start)
        yield self.family(g, "maia_pipeline_oldest_cancelling_since_timestamp_seconds", self.cancelling)
        yield self.family(g, "maia_pipeline_last_run_status", self.last_status, "status")
        yield self.family(g, "maia_pipeline_last_run_start_timestamp_seconds", self.last("started_at"))
        yield self.family(g, "maia_pipeline_last_run_end_timestamp_seconds", self.last("finished_at"))
        yield self.family(g, "maia_pipeline_last_run_duration_seconds", self.last("duration_seconds"))
        yield self.family(g, "maia_pipeline_last_success_timestamp_seconds", self.success)
        yield self.family(g, "maia_pipeline_consecutive_failures", lambda p: [((), p.streak.length)])
        yield self.family(g, "maia_pipeline_info", self.info, "project_id", "pipeline_type")
        yield self.family(c, "maia_pipeline_runs_started", self.counter("started", TRIGGERS), "trigger")
        yield self.family(c, "maia_pipeline_runs_finished", self.counter("finished", FINISHED), "status")
        yield self.family(c, "maia_pipeline_run_seconds", self.counter("seconds", FINISHED), "status")
        yield self.histogram()
        yield self.family(g, "maia_pipeline_run_time_limit_seconds", lambda p: [])
        yield self.family(g, "maia_pipeline_active_runs_over_limit", lambda p: [((), 0)])
        yield self.family(c, "maia_pipeline_runs_over_limit", lambda p: [((), 0)])
        yield self.family(c, "maia_pipeline_cancel_requests", lambda p: [], "mode")
        yield self.family(c, "maia_pipeline_cancel_outcomes", lambda p: [], "outcome")

    def family(self, kind, name, values, *labels):
        family = kind(name, "", labels=[*P, *labels])
        for key, pipeline in self.state.pipelines.items():
            for extra, value in values(pipeline):
                family.add_metric([*self.names(key), *extra], value)
        return family

    def names(self, key):
        project = self.projects[key.project_id]
        return [project, key.environment_name or "unknown", key.pipeline_name or "unknown"]

    def runs(self, pipeline):
        records = self.state.unfinished.values()
        return [r for r in records if r.run.pipeline == pipeline.key and r.vanished_at is None]

    def active(self, pipeline):
        return [([s], sum(r.run.status == s for r in self.runs(pipeline))) for s in ACTIVE]

    def oldest_start(self, pipeline):
        starts = sorted(r.run.started_at.timestamp() for r in self.runs(pipeline) if r.run.started_at)
        return [((), start) for start in starts[:1]]

    def cancelling(self, pipeline):
        runs = [r for r in self.runs(pipeline) if r.run.status == Status.CANCELLING and r.cancelling_since]
        return [((), since) for since in sorted(r.cancelling_since.timestamp() for r in runs)[:1]]

    def last_status(self, pipeline):
        last = pipeline.last_run
        return [([s], 1 if last and last.status == s else 0) for s in FINISHED]

    def last(self, field):
        def values(pipeline):
            value = getattr(pipeline.last_run, field, None)
            return [] if value is None else [((), value.timestamp() if hasattr(value, "timestamp") else value)]

        return values

    def success(self, pipeline):
        return [((), pipeline.last_success[0])] if pipeline.last_success else []

    def info(self, pipeline):
        return [([pipeline.key.project_id, pipeline.pipeline_type], 1)]

    def counter(self, field, values):
        def numbers(pipeline):
            shown = pipeline.key not in self.state.introduced
            return [([v], n if shown else 0) for v, n in zip(values, getattr(pipeline.counts, field), strict=True)]

        return numbers

    def histogram(self):
        family = HistogramMetricFamily("maia_pipeline_run_duration_seconds", "", labels=P)
        for key, pipeline in self.state.pipelines.items() if self.bounds else ():
            counts = pipeline.counts
            fits = counts.bucket_bounds == self.bounds and key not in self.state.introduced
            single = counts.buckets if fits else [0] * (len(self.bounds) + 1)
            limits = [*map(str, self.bounds), "+Inf"]
            buckets = [(limit, sum(single[: number + 1])) for number, limit in enumerate(limits)]
            family.add_metric(self.names(key), buckets, sum_value=counts.bucket_sum if fits else 0)
        return family


def oracle_text(state, bounds, form):
    """What prometheus_client makes of the state."""
    registry = CollectorRegistry()
    registry.register(Oracle(state, bounds))
    if form is Format.TEXT:
        return generate_latest(registry).decode()
    return generate_openmetrics(registry).decode()
