"""The account while it lives: script + seed + speed + epoch, then `advance(now)` and what people do to it.

Instants are on the server's clock. History is laid out on the same scale as life after the epoch, so at speed 60 two
days of it are the 48 minutes before the start. At speed 0 history is laid out as at speed 1, then nothing starts or
ends by itself; what is asked for through the API or the control endpoint still happens, in unscaled time.
Must not know HTTP.
"""

from __future__ import annotations

import heapq
from datetime import datetime, timedelta
from itertools import count

from exporter.simulator.account import Pipeline, Project, Run, named_id
from exporter.simulator.index import RunIndex
from exporter.simulator.lives import Life, Telling, draw, message_for, plan_run
from exporter.simulator.script import CancelManner, Change, Moment, PipelineSpec, Script
from exporter.simulator.times import floor_instant

_FORCED_TAKES = timedelta(seconds=1)


class TagConflictError(Exception):
    """A run with that tag is still going in that environment."""


class DisabledError(Exception):
    """The pipeline is disabled."""


class AlreadyFinishedError(Exception):
    """The run has ended."""


class World:
    """Everything that is true in the simulated account."""

    def __init__(self, script: Script, *, seed: int, speed: float, epoch: datetime) -> None:
        self.script, self.seed, self.speed, self.epoch = script, seed, speed, epoch
        self.frozen = speed == 0
        self.scale = speed or 1.0
        digits = script.answers.fraction_digits
        self.digits = (3 if speed > 1 else 0) if digits is None else digits
        self.projects: dict[str, Project] = {}
        self.pipelines: dict[tuple[str, str, str], Pipeline] = {}
        self.runs: dict[str, Run] = {}
        self.index = RunIndex(script.answers.undated_order)
        self._order = count()
        self._starts: list[tuple[datetime, int, Run, Life | Telling | None, int]] = []
        self._ends: list[tuple[datetime, int, Run]] = []
        self._changes: list[tuple[datetime, int, Change]] = []
        self._born = count(1)
        self.began_at = epoch - script.history / self.scale
        self.now = self.began_at
        self._settle_accounts()
        for life in self._lives():
            self._plan_next(life, life.number_after(self.began_at))
        for number, moment in enumerate(script.runs, 1):
            self._plan_next(self._telling(moment, number), 0)
        for change in script.changes:
            heapq.heappush(self._changes, (self._instant(change.at), next(self._order), change))
        self.advance(epoch)
        if self.frozen:
            self._freeze()

    def advance(self, now: datetime) -> None:
        """Let everything happen that happens up to `now`; an earlier `now` than before changes nothing."""
        while self._changes and self._changes[0][0] <= now:
            at, _, change = heapq.heappop(self._changes)
            self._turn(at)
            self.apply(change)
        self._turn(now)

    def project(self, name_or_id: str) -> Project | None:
        """A project by its id, or by its key or name."""
        named = (each for each in self.projects.values() if name_or_id in (each.spec.key, each.name))
        return self.projects.get(name_or_id) or next(named, None)

    def pipeline(self, project: Project, environment: str, name: str) -> Pipeline | None:
        """A pipeline in one environment."""
        return self.pipelines.get((project.project_id, environment, name))

    def execute(self, pipeline: Pipeline, *, tag: str = "") -> Run:
        """Start a published pipeline now, as the API does; TagConflictError, DisabledError."""
        if pipeline.disabled:
            raise DisabledError(pipeline.name)
        going = (run for status in ("RUNNING", "CANCELLING") for run in self.index.newest_first(statuses=(status,)))
        if tag and any(
            run.tag == tag
            and run.pipeline.project is pipeline.project
            and run.pipeline.environment == pipeline.environment
            for run in going
        ):
            raise TagConflictError(tag)
        number = next(self._born)
        run = plan_run(
            pipeline,
            run_id=named_id(self.seed, self.epoch, "executed", number),
            start=floor_instant(self.now, self.digits),
            trigger="API",
            shares=draw(self.seed, pipeline.project.spec.key, pipeline.environment, pipeline.name, "executed", number),
            scale=self.scale,
            digits=self.digits,
            find=self._called,
        )
        run.tag = tag
        if self.frozen:
            run.ends_at, run.children = None, ()
        self._begin(run)
        return run

    def cancel(self, run: Run, *, force: bool) -> None:
        """Ask a run to end, as the API does; AlreadyFinishedError."""
        if run.finished:
            raise AlreadyFinishedError(run.run_id)
        run.asked_at = run.asked_at or self.now
        run.forced = run.forced or force
        if run.cancel is CancelManner.IGNORES and not force:
            return
        if run.status != "CANCELLING":
            run.unheard_of = False
            self.index.restatus(run, "CANCELLING")
        if force and run.cancel is not CancelManner.IMMORTAL:
            self._end_by(run, self.now + _FORCED_TAKES / self.scale, "CANCELLED")
        elif run.cancel is CancelManner.OBEYS:
            self._end_by(run, self.now + run.pipeline.spec.cancel_takes / self.scale, "CANCELLED")
        elif run.cancel is CancelManner.FINISHES:
            self._end_by(run, self.now + run.pipeline.spec.cancel_takes / self.scale / 2, run.outcome)

    def admit(self, run: Run) -> None:
        """Take in a run that somebody made up."""
        self._add(run)

    def end(self, run: Run, *, status: str, at: datetime | None = None, message: str | None = None) -> None:
        """End a run now, or say that it ended at `at`; AlreadyFinishedError."""
        if run.finished:
            raise AlreadyFinishedError(run.run_id)
        run.message = message_for(run, status) if message is None else message
        self._finish(run, status, floor_instant(self.now, self.digits) if at is None else at)

    def forget(self, run: Run) -> None:
        """Let the API no longer know a run."""
        self.index.remove(run)
        del self.runs[run.run_id]

    def new_id(self) -> str:
        """An id for a run that somebody makes up."""
        return named_id(self.seed, self.epoch, "made up", next(self._born))

    def add_pipeline(self, project: Project, environment: str, name: str, *, published: bool) -> Pipeline:
        """A pipeline that the script does not know; it has no life of its own."""
        spec = PipelineSpec(project=project.spec.key, environments=(environment,), name=name, published=published)
        return self._settle(project, environment, name, spec)

    def apply(self, change: Change) -> None:
        """Let something in the account change now."""
        project = self.project(change.project)
        if project is None:
            return
        environments = {change.environment} if change.environment else set(project.spec.environments)
        if change.allowed is not None:
            project.denied = project.denied - environments if change.allowed else project.denied | environments
        if change.forbidden is not None:
            project.forbidden = change.forbidden
        for pipeline in self.pipelines.values():
            if pipeline.project is not project or pipeline.environment not in environments:
                continue
            if not change.pipeline or pipeline.name == change.pipeline:
                pipeline.published = pipeline.published if change.published is None else change.published
                pipeline.disabled = pipeline.disabled if change.disabled is None else change.disabled

    # Making the account

    def _settle_accounts(self) -> None:
        for project_spec in self.script.projects:
            project_id = named_id(self.seed, "project", project_spec.key)
            self.projects[project_id] = Project(project_id, project_spec.name, project_spec, project_spec.forbidden)
        for spec in self.script.pipelines:
            project = self._keyed(spec.project)
            for name in spec.names():
                for environment in spec.environments:
                    self._settle(project, environment, name, spec)

    def _settle(self, project: Project, environment: str, name: str, spec: PipelineSpec) -> Pipeline:
        key = (self.seed, project.spec.key, environment, name)
        published_at = self.began_at - timedelta(days=1 + int(draw(*key, "published")[0] * 90))
        pipeline = Pipeline(
            project=project,
            environment=environment,
            name=name,
            spec=spec,
            schedule_id=named_id(*key, "schedule"),
            published_at=floor_instant(published_at, 0),
            published=spec.published,
            disabled=spec.disabled,
        )
        self.pipelines[project.project_id, environment, name] = pipeline
        return pipeline

    def _lives(self) -> list[Life]:
        return [
            Life(pipeline, seed=self.seed, scale=self.scale, digits=self.digits, find=self._called)
            for pipeline in self.pipelines.values()
            if pipeline.spec.every is not None
        ]

    def _keyed(self, key: str) -> Project:
        return next(each for each in self.projects.values() if each.spec.key == key)

    def _called(self, caller: Pipeline, name: str) -> Pipeline:
        return self.pipelines[caller.project.project_id, caller.environment, name]

    def _telling(self, moment: Moment, number: int) -> Telling:
        project = self._keyed(moment.project)
        pipeline = self.pipelines[project.project_id, moment.environment, moment.pipeline]
        key = (self.seed, self.epoch, "moment", number)
        return Telling(moment, pipeline, key=key, epoch=self.epoch, scale=self.scale, digits=self.digits)

    def _instant(self, offset: timedelta) -> datetime:
        return floor_instant(self.epoch + offset / self.scale, self.digits)

    # Turning

    def _turn(self, now: datetime) -> None:
        self.now = max(self.now, now)
        while self._starts and self._starts[0][0] <= now:
            _, _, run, series, number = heapq.heappop(self._starts)
            if series is not None:
                self._plan_next(series, number + 1)
            caller = run.parent
            lost = caller is not None and caller.ends_at is not None and caller.ends_at <= run.created_at
            idle = isinstance(series, Life) and (run.pipeline.disabled or not run.pipeline.published)
            if not lost and not idle:
                self._begin(run)
        while self._ends and self._ends[0][0] <= now:
            at, _, run = heapq.heappop(self._ends)
            if not run.finished and run.ends_at == at:
                self._finish(run, run.outcome, at)

    def _plan_next(self, series: Life | Telling, number: int) -> None:
        run = series.plan(number)
        if run is not None:
            self._await(run, series, number)

    def _await(self, run: Run, series: Life | Telling | None, number: int) -> None:
        heapq.heappush(self._starts, (run.created_at, next(self._order), run, series, number))

    def _begin(self, run: Run) -> None:
        if run.pipeline.environment in run.pipeline.project.denied:
            run.outcome, run.message, run.children = "FORBIDDEN", message_for(run, "FORBIDDEN"), ()
        if run.outcome == "FORBIDDEN":
            run.ends_at = run.created_at
            run.dated = run.dated and not self.script.answers.undated_forbidden
        caller = run.parent
        if caller is not None and caller.ends_at and (run.ends_at is None or caller.ends_at < run.ends_at):
            run.ends_at, run.outcome, run.message = caller.ends_at, "CANCELLED", message_for(run, "CANCELLED")
        self._add(run)
        for child in run.children:
            self._await(child, None, 0)

    def _add(self, run: Run) -> None:
        if run.ends_at is not None and run.ends_at <= self.now:
            run.status, run.unheard_of = run.outcome, False
        self.runs[run.run_id] = run
        self.index.add(run)
        if not run.finished and run.ends_at is not None:
            heapq.heappush(self._ends, (run.ends_at, next(self._order), run))

    def _end_by(self, run: Run, at: datetime, outcome: str) -> None:
        at = floor_instant(at, self.digits)
        if run.ends_at is not None and run.ends_at <= at:
            return  # it finishes first
        run.ends_at = max(at, run.created_at)
        if outcome != run.outcome:
            run.outcome, run.message = outcome, message_for(run, outcome)
        heapq.heappush(self._ends, (run.ends_at, next(self._order), run))

    def _finish(self, run: Run, status: str, at: datetime) -> None:
        run.ends_at, run.outcome, run.unheard_of = at, status, False
        self.index.restatus(run, status)
        for child in run.children:
            if child.run_id in self.runs and not child.finished:
                child.message = message_for(child, "CANCELLED")
                self._finish(child, "CANCELLED", max(at, child.created_at))

    def _freeze(self) -> None:
        self._starts.clear()
        self._ends.clear()
        self._changes.clear()
        for status in ("RUNNING", "CANCELLING"):
            for run in self.index.newest_first(statuses=(status,)):
                run.ends_at = None
