"""An account as the page sees it, and a service that shows it."""

from datetime import datetime, timedelta
from random import Random

from web.serving import NOON, Service

from exporter.core.limits.rules import Coverage, LimitRule, Mode
from exporter.core.limits.runs import LimitedRun, Limits, Stage
from exporter.core.model import PipelineKey, Run, Status, Trigger
from exporter.core.recent import RecentRun, RecentRuns
from exporter.core.silences import Silence
from exporter.core.state import FailureStreak, FinishedRun, PipelineState, RunRecord, State
from exporter.metrics.limits import pipeline_limits
from exporter.metrics.snapshot import Snapshot
from exporter.store.outbox_views import TargetStanding
from exporter.web.page.sources import Around, PageSources, Stories

FINANCE, SALES = "5e1f", "77aa"
NAMES = {FINANCE: "Finance", SALES: "Customer 360"}
RULE = LimitRule(
    name="nightly",
    mode=Mode.CANCEL,
    warn_after=timedelta(hours=1),
    cancel_after=timedelta(hours=2),
    triggers=("*",),
)
CONFIG = {"maia": {"client_secret": "**********", "region": "eu1"}, "limits": [{"name": "nightly", "triggers": ["*"]}]}


def key(name="finance/load.orch.yaml", *, project=FINANCE, environment="prod"):
    return PipelineKey(project, environment, name)


def pipeline(of, *ends, every=timedelta(hours=1), took=60.0, now=NOON, **fields):
    """A pipeline whose last runs ended as `ends`, the last one hour before `now`, each after `took` seconds."""
    runs = tuple(
        RecentRun((now - every * (len(ends) - number)).timestamp(), f"{of.pipeline_name}#{number}", Status(end), took)
        for number, end in enumerate(ends)
    )
    good = [run[:2] for run in runs if run.status is Status.SUCCESS]
    bad = tuple(run[:2] for run in runs if run.status in ("FAILED", "FORBIDDEN") and (not good or run[:2] > good[-1]))
    last = None
    if runs:
        ended = datetime.fromtimestamp(runs[-1].finished, now.tzinfo)
        last = FinishedRun(
            order=runs[-1][:2],
            status=runs[-1].status,
            started_at=ended - timedelta(seconds=took),
            finished_at=ended,
            duration_seconds=took,
        )
    return PipelineState(
        key=of,
        first_seen_at=now - timedelta(days=30),
        watched_since=now - timedelta(days=30),
        last_run=last,
        recent=RecentRuns.of(runs),
        last_success=good[-1] if good else None,
        streak=FailureStreak(orders=bad, since=bad[0][0] if bad else None),
        **fields,
    )


def going(run_id, of, *, since, status=Status.RUNNING, now=NOON, user="ada@example.com"):
    run = Run(
        run_id=run_id,
        pipeline=of,
        status=status,
        status_text=status.value,
        trigger=Trigger.SCHEDULE,
        started_at=now - since,
        user=user,
    )
    return RunRecord(run=run, first_seen_at=now - since)


def ended(state, run_ids, *, message="", user="ada@example.com"):
    """What the record holds of these runs, which are among the last of their pipelines."""
    wanted = set(run_ids)
    return {
        recent.run_id: RunRecord(
            run=Run(
                run_id=recent.run_id,
                pipeline=pipeline_key,
                status=recent.status,
                status_text=recent.status.value,
                trigger=Trigger.API,
                message=message,
                user=user,
            ),
            first_seen_at=NOON,
        )
        for pipeline_key, one in state.pipelines.items()
        for recent in one.recent
        if recent.run_id in wanted
    }


class Account:
    """Sources of a page, which a test may change while the service runs."""

    def __init__(self, *pipelines, runs=(), rules=(), success_within=None, reveal=True, message="no such table"):
        self.state = State(
            pipelines={one.key: one for one in pipelines},
            unfinished={record.run.run_id: record for record in runs},
            project_names=NAMES,
        )
        self.coverage = Coverage(tuple(rules), NAMES)
        self.limits = Limits()
        self.success_within = success_within or {}
        self.around_now = Around()
        self.reveal = reveal
        self.message = message
        self.limited = {}
        self.trouble = ""
        self.sources = {}  # instead of what the page is made of otherwise

    @property
    def page(self):
        sources = {
            "reveals": lambda _: self.reveal,
            "limits": lambda: (self.limits, self.coverage),
            "around": lambda: self.around_now,
            "stories": self.stories,
            "config": lambda: CONFIG,
            "run_url": lambda: "https://maia.example/run/{run_id}?tab=1",
        }
        return PageSources(**{**sources, **self.sources})

    def stories(self, run_ids):
        known = {} if self.trouble else ended(self.state, run_ids, message=self.message)
        return Stories(
            runs=known,
            limited={run_id: self.limited[run_id] for run_id in run_ids if run_id in self.limited},
            trouble=self.trouble,
        )

    def publish(self, service):
        service.exposition.publish(
            Snapshot(
                state=self.state,
                limits=pipeline_limits(self.limits, self.coverage, self.state),
                success_within=self.success_within,
            )
        )

    def served(self, **service):
        """A service that shows it, not started yet."""
        made = Service(page=self.page, **service)
        self.publish(made)
        made.ours.poll_succeeded(made.now, seconds=1.0)
        made.readiness.has_something_to_show()
        return made


def lively(**fields):
    """A bit of everything: broken, forbidden, cancelled, over a limit, overdue, never run; targets, silences."""
    load, sync, refused, slow, new = (
        key(),
        key("crm/sync.orch.yaml", project=SALES),
        key("models/train.orch.yaml", project=SALES, environment="lab"),
        key("finance/slow.orch.yaml"),
        key("finance/new.orch.yaml", environment="test"),
    )
    account = Account(
        pipeline(load, *["SUCCESS"] * 27, "SUCCESS", "FAILED", "FAILED"),
        pipeline(sync, "SUCCESS", "FAILED", "SUCCESS"),
        pipeline(refused, "FORBIDDEN"),
        pipeline(slow, "SUCCESS", "CANCELLED", took=7200.0),
        pipeline(new),
        runs=[
            going("slow-now", slow, since=timedelta(hours=1, minutes=30)),
            going("load-now", load, since=timedelta(minutes=5)),
        ],
        rules=[RULE, LimitRule(name="matches nothing", warn_after=timedelta(days=1))],
        success_within={sync: 1800.0},
        **fields,
    )
    over = LimitedRun(
        run_id="slow-now",
        pipeline=slow,
        trigger=Trigger.SCHEDULE,
        started_at=NOON - timedelta(hours=1, minutes=30),
        limit="nightly",
        stage=Stage.WARNED,
        over_at=NOON - timedelta(minutes=30),
    )
    account.limits = Limits(
        runs={"slow-now": over},
        over_now=frozenset({"slow-now"}),
        matched_at={"nightly": NOON, "matches nothing": NOON - timedelta(days=9)},
    )
    account.around_now = Around(
        targets={
            "data-oncall": TargetStanding(waiting=2, last_success_at=NOON - timedelta(minutes=3)),
            "mail": TargetStanding(
                waiting=7, suspended=True, reason="404: no such channel", failing_since=NOON - timedelta(hours=3)
            ),
        },
        silences=(
            Silence(
                silence_id="s-1",
                starts_at=NOON,
                ends_at=NOON + timedelta(hours=2),
                pipeline="nightly-*",
                author="grace",
                comment="maintenance",
            ),
        ),
    )
    return account


_KINDS = [  # how the last runs ended, one for each pipeline in turn
    ["SUCCESS"] * 30,
    ["SUCCESS"] * 11 + ["FAILED"] + ["SUCCESS"] * 18,
    ["SUCCESS"] * 29 + ["FAILED"],
    ["SUCCESS"] * 6 + ["SKIPPED"] * 2 + ["SUCCESS"] * 9,
    ["SUCCESS"] * 30,
    ["SUCCESS"] * 20 + ["CANCELLED"] + ["SUCCESS"] * 9,
    ["SUCCESS"] * 30,
    [],
]


def large(number, *, seed=1, now=NOON, **fields):
    """So many pipelines in two projects and four environments, an eighth of them broken, a tenth running."""
    random = Random(seed)
    pipelines = []
    for index in range(number):
        of = key(
            f"{random.choice(['ingest', 'stage', 'marts', 'exports'])}/{random.choice(_WORDS)}-{index:04}.orch.yaml",
            project=random.choice([FINANCE, SALES]),
            environment=random.choice(["prod", "prod", "test", "lab"]),
        )
        ends = list(_KINDS[index % len(_KINDS)])
        if index % 3 == 0:
            ends = [random.choice(ends) for _ in ends]
        took = random.uniform(20, 9_000)
        pipelines.append(pipeline(of, *ends, every=timedelta(minutes=random.randint(5, 600)), took=took, now=now))
    runs = [
        going(f"r{index}", one.key, since=timedelta(minutes=random.randint(1, 150)), now=now)
        for index, one in enumerate(pipelines)
        if index % 10 == 0
    ]
    account = Account(*pipelines, runs=runs, rules=[RULE], **fields)
    account.limits = Limits(
        over_now=frozenset(run.run.run_id for run in runs if now - run.run.started_at > timedelta(hours=1)),
        matched_at={"nightly": now},
    )
    return account


_WORDS = ["orders", "invoices", "customers", "ledger", "stock", "prices", "clicks", "sessions", "contracts", "payroll"]
