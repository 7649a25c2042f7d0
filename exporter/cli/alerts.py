"""`maia-exporter alerts list|show|retry|test`: what was or is to be told, to whom, and why not.

Works while the service runs, and when it does not. Must not send past the outbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from exporter.cli.guide.arguments import form_options
from exporter.cli.guide.output import (
    Form,
    inert,
    instant_for_people,
    instant_for_programs,
    note,
    show,
    show_facts,
    show_json,
)
from exporter.cli.options import common_options, fail
from exporter.cli.outbox_access import store_of
from exporter.clock import SystemClock
from exporter.core.notice import DeliveryState
from exporter.store import outbox, outbox_views

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from exporter.store.outbox_views import AttemptRow, DeliveryRow, ShownEvent

_SHOWN = 50
"""Rows that a table shows without `--limit`."""

_STATES = [state.value for state in DeliveryState if state is not DeliveryState.LEASED]


@click.group()
def alerts() -> None:
    """What was or is to be told, to whom, and why not."""


@alerts.command(name="list")
@click.option("--state", "states", type=click.Choice(_STATES), multiple=True, help="Only these; repeatable.")
@click.option("--target", default="", help="Only what is for this target.")
@click.option(
    "--limit", type=click.IntRange(min=1), help=f"At most so many, the newest [default: {_SHOWN} in a table]."
)
@form_options
@common_options
def list_(config_path: Path | None, *, states: tuple[str, ...], target: str, limit: int | None, form: Form) -> None:
    """List deliveries, newest first: state, attempts, reason, next try.

    \b
    Example: maia-exporter alerts list --state pending
    """
    wanted = limit if limit is not None or form is not Form.TEXT else _SHOWN
    with store_of(config_path) as database, database.reading() as connection:
        found = list(
            outbox_views.listed(
                connection, states=[DeliveryState(state) for state in states], target_name=target, limit=wanted
            )
        )
    show(
        form,
        columns=("event id", "target", "state", "attempts", "found", "next try", "reason"),
        rows=lambda: [
            (
                row.event_id,
                row.target,
                _state(row),
                str(row.attempts),
                instant_for_people(row.detected_at),
                instant_for_people(row.next_at),
                _reason(row),
            )
            for row in found
        ],
        records=(record(row) for row in found),
        plain=dict.fromkeys(row.event_id for row in found),
        prose=True,
    )
    if form is Form.TEXT and limit is None and len(found) == _SHOWN:
        note(f"The newest {_SHOWN}; --limit shows more.")


@alerts.command(name="show")
@click.argument("event_id", metavar="EVENT")
@click.option("--json", "as_json", is_flag=True, help="An array with one object.")
@common_options
def show_(config_path: Path | None, event_id: str, *, as_json: bool) -> None:
    """Why was I told, or not told? Everything about one EVENT; the id of a run shows all its events.

    \b
    Example: maia-exporter alerts show 5f0c5a0e-7c5d-4d0e-a7f1-6d1d5b3c9a10:FAILED
    """
    with store_of(config_path) as database, database.reading() as connection:
        ids = outbox_views.find_event_ids(connection, event_id) or [event_id]
        found = [event for each in ids if (event := outbox_views.shown(connection, each))]
    if not found:
        fail(f"nothing is known of {event_id}; maia-exporter alerts list shows what is")
    if as_json:
        show_json(_event_record(event) for event in found)
        return
    for number, event in enumerate(found):
        if number:
            click.echo()
        _show_event(event)


@alerts.command()
@click.argument("event_ids", metavar="[EVENT]...", nargs=-1)
@click.option("--target", help="Only what this target refused.")
@common_options
def retry(config_path: Path | None, event_ids: tuple[str, ...], target: str | None) -> None:
    """Send dead letters once more: all of them, or those of some EVENTs. Without a service they wait for the next.

    \b
    Example: maia-exporter alerts retry --target data-oncall
    """
    now = SystemClock().now()
    with store_of(config_path) as database, database.transaction() as connection:
        number = outbox.retry_dead(connection, now=now, event_ids=event_ids, target=target)
    if not number and (event_ids or target is not None):
        fail("no such dead letter; maia-exporter alerts list --state dead shows them")
    click.echo(f"{number} to be sent again" if number else "no dead letters")


@alerts.command()
@click.argument("target", metavar="TARGET")
@click.option(
    "--timeout", "seconds", type=click.IntRange(min=1), default=60, show_default=True, help="Seconds to wait."
)
@common_options
def test(config_path: Path | None, target: str, *, seconds: int) -> None:
    """Send a test message to TARGET the way every alert goes; exit 0 only when it was delivered.

    \b
    Example: maia-exporter alerts test data-oncall
    """
    from exporter.cli.alert_test import send_test  # loads the notifier, which nothing else here needs

    row = send_test(config_path, target, seconds=seconds)
    if row.state is DeliveryState.SENT:
        click.echo(f"delivered to {target}")
        return
    reason = _reason(row)
    if row.state is DeliveryState.PENDING:
        next_try = f"; next try {instant_for_people(row.next_at)}" if row.next_at else ""
        fail(f"waiting: {reason or 'the service has not tried it yet'}{next_try}")
    fail(f"{row.state.value}: {reason}")


def record(row: DeliveryRow) -> dict[str, Any]:
    """A delivery as JSON."""
    return {
        "event_id": row.event_id,
        "run_id": row.run_id,
        "event": row.event,
        "target": row.target,
        "state": row.state.value,
        "attempts": row.attempts,
        "next_at": instant_for_programs(row.next_at),
        "last_error": row.last_error,
        "last_class": row.last_class,
        "why": row.why,
        "suppressed_reason": row.suppressed_reason,
        "possible_repeat": row.possible_repeat,
        "detected_at": instant_for_programs(row.detected_at),
        "settled_at": instant_for_programs(row.settled_at),
        "digest": row.digest,
    }


def _event_record(event: ShownEvent) -> dict[str, Any]:
    notice = event.notice
    return {
        "event_id": notice.event_id,
        "run_id": notice.run_id,
        "event": notice.event.value,
        "subject": notice.subject,
        "occurred_at": instant_for_programs(notice.occurred_at),
        "detected_at": instant_for_programs(notice.detected_at),
        "late": notice.late,
        "facts": {fact.label: fact.value for fact in notice.facts},
        "detail": event.detail,
        "deliveries": [
            {**record(row), "history": [_attempt_record(attempt) for attempt in attempts]}
            for row, attempts in event.deliveries
        ],
    }


def _attempt_record(attempt: AttemptRow) -> dict[str, Any]:
    return {
        "attempt": attempt.number,
        "started_at": instant_for_programs(attempt.started_at),
        "ended_at": instant_for_programs(attempt.ended_at),
        "class": attempt.outcome,
        "detail": attempt.detail,
        "digest": attempt.digest,
    }


def _show_event(event: ShownEvent) -> None:
    notice = event.notice
    show_facts(
        (
            ("event", f"{notice.event.value}: {notice.subject}"),
            ("event id", notice.event_id),
            ("run id", notice.run_id),
            ("occurred", instant_for_people(notice.occurred_at)),
            ("found", instant_for_people(notice.detected_at) + (" (late)" if notice.late else "")),
            ("step", event.detail),
        )
    )
    if not event.deliveries:
        click.echo("\nno target was to be told")
    for row, attempts in event.deliveries:
        _show_delivery(row, attempts)


def _show_delivery(row: DeliveryRow, attempts: Sequence[AttemptRow]) -> None:
    click.echo(f"\n{inert(row.target)}: {_state(row)}")
    facts = [("because", row.why), ("next try", instant_for_people(row.next_at)), ("digest", row.digest)]
    click.echo("".join(f"  {name}: {inert(value)}\n" for name, value in facts if value), nl=False)
    for attempt in attempts:
        detail = f": {attempt.detail}" if attempt.detail else ""
        took = (attempt.ended_at - attempt.started_at).total_seconds()
        when = instant_for_people(attempt.started_at)
        click.echo(inert(f"  attempt {attempt.number}: {when}, {took:.1f} s, {attempt.outcome}{detail}"))


def _state(row: DeliveryRow) -> str:
    if row.state is DeliveryState.SUPPRESSED:
        return f"suppressed ({row.suppressed_reason})"
    return "pending (being sent)" if row.sending else row.state.value


def _reason(row: DeliveryRow) -> str:
    if row.state is DeliveryState.SUPPRESSED:
        return row.why
    return row.last_error if row.state is not DeliveryState.SENT else ""
