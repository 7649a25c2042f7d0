"""What limits would have done to runs that are past, and which pipelines each limit is about."""

from datetime import UTC, datetime, timedelta

import pytest

from exporter.core.globs import Scope
from exporter.core.limits.replay import PastRun, PastRuns, Replayed, replay, shortest, summary
from exporter.core.limits.rules import Coverage, LimitRule, Mode
from exporter.core.model import PipelineKey, Trigger

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NIGHTLY = PipelineKey("p1", "prod", "finance/nightly-load.orch.yaml")
HOURLY = PipelineKey("p1", "prod", "finance/hourly.orch.yaml")
OTHERS = PipelineKey("p2", "prod", "finance/nightly-load.orch.yaml")
NAMES = {"p1": "Finance", "p2": "Sales"}


def minutes(number):
    return timedelta(minutes=number)


def limit(name, *, pipelines=("*",), projects=("*",), triggers=("API", "SCHEDULE"), **more):
    scope = Scope(projects=projects, pipelines=pipelines)
    return LimitRule(name=name, scope=scope, triggers=triggers, **{"mode": Mode.CANCEL, **more})


STRICT = limit(
    "strict", pipelines=("nightly-*",), projects=("Finance",), warn_after=minutes(20), cancel_after=minutes(30)
)
WARNS = limit("warns", triggers=("*",), mode=Mode.WARN, warn_after=minutes(60), cancel_after=minutes(70))


def past(run_id, took, *, pipeline=NIGHTLY, trigger=Trigger.SCHEDULE):
    return PastRun(
        run_id=run_id, pipeline=pipeline, trigger=trigger, started_at=NOON, took=minutes(took), status="SUCCESS"
    )


def test_each_run_is_held_against_the_first_limit_that_is_about_it():
    early, late = NOON - timedelta(days=2), NOON - timedelta(days=1)
    runs = (past("r1", 19), past("r2", 20), past("r3", 30), past("r4", 59, trigger=Trigger.DESIGNER),
            past("r5", 80, trigger=Trigger.DESIGNER), past("r6", 60, pipeline=HOURLY))  # fmt: skip
    counts = {
        (NIGHTLY, Trigger.SCHEDULE): 40,
        (NIGHTLY, Trigger.API): 2,
        (NIGHTLY, Trigger.DESIGNER): 5,
        (HOURLY, Trigger.API): 7,
    }
    newest = {(NIGHTLY, Trigger.SCHEDULE): late, (NIGHTLY, Trigger.API): early, (NIGHTLY, Trigger.DESIGNER): early}

    strict, warns = replay(Coverage((STRICT, WARNS), NAMES), PastRuns(counts=counts, newest=newest, long=runs))

    assert (strict.rule, strict.matched, strict.last_match_at) == (STRICT, 42, late)
    assert [run.run_id for run in strict.warned] == ["r2", "r3"]
    assert [run.run_id for run in strict.cancelled] == ["r3"]
    assert (warns.rule, warns.matched, warns.last_match_at) == (WARNS, 12, early)
    assert [run.run_id for run in warns.warned] == ["r5", "r6"]
    assert warns.cancelled == (), "it only warns"


def test_without_a_limit_for_it_a_run_is_nobodys():
    runs = PastRuns(
        counts={(OTHERS, Trigger.API): 1}, newest={(OTHERS, Trigger.API): NOON}, long=(past("r1", 90, pipeline=OTHERS),)
    )

    [strict] = replay(Coverage((STRICT,), NAMES), runs)

    assert strict == Replayed(rule=STRICT, matched=0, last_match_at=None, warned=(), cancelled=())


def test_the_shortest_threshold_is_the_first_that_any_run_can_pass():
    assert shortest((WARNS, STRICT)) == minutes(20)
    assert shortest((limit("l", cancel_after=minutes(5)),)) == minutes(5)
    assert shortest(()) is None


@pytest.mark.parametrize(
    ("rule", "matched", "pipelines", "line"),
    [
        (
            STRICT, 42, 2,
            'limit "strict", mode cancel, warns after 20 min, cancels after 30 min: matches 2 pipelines; '
            "of 42 runs of the last 30 days it would have warned about 2 and cancelled 1",
        ),
        (
            WARNS, 1, 1,
            'limit "warns", mode warn, warns after 1 h: matches 1 pipeline; '
            "of 1 run of the last 30 days it would have warned about 2",
        ),
        (
            limit("late", cancel_after=minutes(30)), 1, 0,
            'limit "late", mode cancel, cancels after 30 min: matches 0 pipelines; '
            "of 1 run of the last 30 days it would have warned about 2 and cancelled 1",
        ),
        (
            limit("early", warn_after=minutes(30)), 0, 1,
            'limit "early", mode cancel, warns after 30 min: matches 1 pipeline; '
            "of 0 runs of the last 30 days it would have warned about 2",
        ),
        (
            STRICT, 0, 0,
            'limit "strict", mode cancel, warns after 20 min, cancels after 30 min: matches 0 pipelines '
            "and no run of the last 30 days: it does nothing",
        ),
    ],
)  # fmt: skip
def test_what_a_limit_would_have_done_in_one_line(rule, matched, pipelines, line):
    replayed = Replayed(
        rule=rule,
        matched=matched,
        last_match_at=None,
        warned=(past("r1", 20), past("r2", 30)),
        cancelled=(past("r2", 30),),
    )

    assert summary(replayed, pipelines=pipelines, over="30 days") == line


def test_a_pipeline_is_a_limits_where_an_earlier_one_leaves_it_a_trigger():
    api_only = limit("api", pipelines=("nightly-*",), triggers=("API",), cancel_after=minutes(30))
    scheduled = limit("both", triggers=("API", "SCHEDULE"), cancel_after=minutes(30))
    none_left = limit("again", triggers=("SCHEDULE",), cancel_after=minutes(30))
    coverage = Coverage((api_only, scheduled, none_left), NAMES)

    assert coverage.matched_pipelines([NIGHTLY, HOURLY]) == {"api": [NIGHTLY], "both": [NIGHTLY, HOURLY], "again": []}


@pytest.mark.parametrize(
    ("projects", "names", "found"),
    [
        (("*",), {}, True),  # whatever its name is
        (("p1",), {}, True),  # its id says so
        (("Finance",), {}, False),  # its name may be that, and may not: wait for it
        (("Finance",), NAMES, True),
        (("Sales",), NAMES, False),
    ],
)
def test_a_project_whose_name_is_not_known_yet_is_under_a_limit_only_where_the_name_does_not_matter(
    projects, names, found
):
    rule = limit("l", projects=projects, cancel_after=minutes(30))
    coverage = Coverage((rule, limit("rest", cancel_after=minutes(90))), names)

    assert (coverage.rule_for(NIGHTLY, Trigger.API) is rule) is found
    if not names and not found:
        assert coverage.rule_for(NIGHTLY, Trigger.API) is None, "nor under a later one, which the first might overrule"
