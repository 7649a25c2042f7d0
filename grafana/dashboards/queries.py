"""PromQL of the dashboards: how a number is asked for so that it is neither doubled nor merged.

- Replicas of an exporter differ in `instance` and `pod` only, and only the leader shows pipelines; while one takes over
  from another both may for a scrape. `max without (instance, pod)` makes one series of them and keeps `account`.
- The record keeps the counters of pipelines and messages, and replicas share it: they go on where they were after a
  restart and after a change of the leader, though in another series. So what was counted between two moments is a
  difference of merged values. `increase()` of each series would lose what was counted across the change.
- Accounts are never added up: whatever is summed keeps `account`.

Must not know panels.
"""

SELECTED = 'account=~"$account",project_name=~"$project",environment_name=~"$environment",pipeline_name=~"$pipeline"'
"""The pipelines that are chosen above: any number of each."""

ONE = 'account=~"$account",project_name="$project",environment_name="$environment",pipeline_name="$pipeline"'
"""The one pipeline that is chosen above."""

ACCOUNT = 'account=~"$account"'
"""Whatever is not about pipelines."""

PIPELINE = "account, project_name, environment_name, pipeline_name"


def series(metric: str, scope: str, **labels: str) -> str:
    """A selector; a label's value with `|` in it, or `!` before it, is a regular expression."""
    matchers = [scope] if scope else []
    for label, value in labels.items():
        wanted = value.removeprefix("!")
        operator = "!~" if value != wanted else "=~" if "|" in wanted else "="
        matchers.append(f'{label}{operator}"{wanted}"')
    return f"{metric}{{{','.join(matchers)}}}"


def latest(metric: str, scope: str, **labels: str) -> str:
    """What the account's leader says now."""
    return f"max without (instance, pod) ({series(metric, scope, **labels)})"


def led(metric: str, scope: str) -> str:
    """What the leader says now of itself: a replica that has stood by since it led still shows what it saw last."""
    leader = f"({series('maia_exporter_is_leader', scope)} == 1)"
    return f"max without (instance, pod) ({series(metric, scope)} and on (job, instance) {leader})"


def counted(metric: str, scope: str, *, window: str = "$__range", **labels: str) -> str:
    """What a counter that the record keeps has counted in the window, exactly.

    Its newest value less its oldest. Only what began anew (a lost record) counts from there.
    """
    chosen = series(metric, scope, **labels)
    return f"(max without (instance, pod) ({chosen}) - min without (instance, pod) (min_over_time({chosen}[{window}])))"


def counted_each(metric: str, scope: str, **labels: str) -> str:
    """The same for every interval of a graph: bars that add up to what was counted, none in two of them.

    Its value less the one an interval ago; where there was none yet, or a higher one, less the oldest since.
    """
    chosen = series(metric, scope, **labels)
    before = f"max without (instance, pod) ({chosen} offset $__interval)"
    since = f"({latest(metric, scope, **labels)} - {before}) >= 0"
    return f"({since} or {counted(metric, scope, window='$__interval', **labels)})"


def total(expression: str, *by: str) -> str:
    """A sum that keeps accounts apart."""
    return f"sum by ({', '.join(('account', *by))}) ({expression})"


def ratio(part: str, whole: str) -> str:
    """A share, absent where there is nothing to have a share of."""
    return f"{part} / ({whole} > 0)"
