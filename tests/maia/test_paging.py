"""A list is whole or it raises, and it ends."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.core.model import PipelineKey, Run, Status
from exporter.maia import paging
from exporter.maia.answers import Rejection, RunPage
from exporter.maia.errors import BadAnswer
from exporter.maia.wire_lists import ListPage


def run(run_id: str, status: Status = Status.RUNNING) -> Run:
    return Run(run_id=run_id, pipeline=PipelineKey("p", "e", "n"), status=status, status_text=status.value)


def page(*items: str, size: int = 0, total: int = 0, rejected: int = 0) -> ListPage[str]:
    return ListPage(
        items=tuple((item, {"name": item}) for item in items),
        rejected=tuple(Rejection(f"results[{n}]", "bad") for n in range(rejected)),
        unrecognised=(("field", "value"),) * rejected,
        length=len(items) + rejected,
        size=size,
        total=total,
    )


def names(count: int, start: int = 0) -> list[str]:
    return [f"n{n}" for n in range(start, start + count)]


def test_all_pages_of_runs_become_one_with_what_was_said_of_them():
    pages = {
        None: RunPage(runs=(run("a"),), more="2", rejected=(Rejection("x", "y"),), records={"a": {"k": 1}}),
        "2": RunPage(runs=(run("b"),), unrecognised=(("status", "ODD"),), records={"b": {"k": 2}}),
    }

    whole = paging.all_runs(pages.__getitem__, tried="list")

    assert whole == RunPage(
        runs=(run("a"), run("b")), rejected=(Rejection("x", "y"),), unrecognised=(("status", "ODD"),)
    )
    assert whole.records == {"a": {"k": 1}, "b": {"k": 2}}


def test_a_run_that_shifts_to_the_next_page_is_there_once_as_it_was_read_last():
    pages = {
        None: RunPage(runs=(run("a"), run("b")), more="2"),
        "2": RunPage(runs=(run("b", Status.SUCCESS), run("c"))),
    }

    assert paging.all_runs(pages.__getitem__, tried="list").runs == (run("a"), run("b", Status.SUCCESS), run("c"))


def test_an_empty_page_with_a_token_is_not_the_end():
    pages = {None: RunPage(runs=(), more="2"), "2": RunPage(runs=(run("a"),))}

    assert paging.all_runs(pages.__getitem__, tried="list").runs == (run("a"),)


@pytest.mark.parametrize(
    ("fetch", "calls"),
    [
        (lambda _, n: RunPage(runs=(run(str(n)),), more="same"), 2),  # the same token again
        (lambda _, n: RunPage(runs=(run(str(n)),), more=str(n % 3)), 4),  # a circle of three
        (lambda _, n: RunPage(runs=(run("a"),), more=str(n)), 6),  # new tokens, old rows
        (lambda _, n: RunPage(runs=(run(str(n)),), more=str(n)), paging.MOST_PAGES),  # for ever
    ],
)
def test_run_pages_that_never_end_are_given_up(fetch: Any, calls: int):
    asked: list[str | None] = []

    def counted(token: str | None) -> RunPage:
        asked.append(token)
        return fetch(token, len(asked))

    with pytest.raises(BadAnswer, match="list executions: the list goes in a circle or never ends"):
        paging.all_runs(counted, tried="list executions")
    assert len(asked) == calls


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        ([page("a", size=0, total=0)], "the guide's example: size 0 and total 0 beside a record"),
        ([page()], "an empty account"),
        ([page(*names(100), size=100, total=100)], "total reached"),
        ([page(*names(100), size=100, total=130), page(*names(30, 100), size=100, total=130)], "total says more"),
        ([page(*names(25), size=25, total=30), page(*names(5, 25), size=25, total=30)], "the server caps size"),
        ([page(*names(25), size=25), page(*names(5, 25), size=25)], "it caps size and gives no total"),
        ([page(*names(100)), page(*names(3, 100))], "no total, a short page ends it"),
        ([page(*names(100)), page()], "no total, an empty page ends it"),
        ([page(*names(2), total=9), page()], "total promises more than there is"),
        ([page(*names(1), rejected=1, total=3), page("z", total=3)], "a bad record counts for the total"),
        ([page(rejected=2, total=3), page("z", total=3)], "a page of bad records is no circle"),
    ],
)
def test_a_list_is_read_to_its_end_and_no_further(pages: list[ListPage[str]], why: str):
    rest = iter(pages)

    listing = paging.whole_list(lambda _: next(rest), tried="list")

    assert list(listing) == [item for page in pages for item, _ in page.items], why
    assert len(listing) == len(listing.items)
    assert [record["name"] for record in listing.records] == list(listing)
    assert next(rest, None) is None, why


def test_what_was_skipped_in_any_page_is_kept():
    pages = [page("a", rejected=1, total=4), page("b", rejected=1, total=4)]

    listing = paging.whole_list(pages.__getitem__, tried="list")

    assert (len(listing.rejected), len(listing.unrecognised)) == (2, 2)


def test_a_record_that_shifts_to_the_next_page_is_there_once():
    pages = [page("a", "b", total=4), page("b", "c", total=4)]

    assert paging.whole_list(pages.__getitem__, tried="list").items == ("a", "b", "c")


@pytest.mark.parametrize(
    ("fetch", "calls"),
    [
        (lambda _: page(*names(100), total=1000), 2),  # a server that ignores `page`
        (lambda n: page(*names(1, n), total=10**9), paging.MOST_PAGES),  # for ever
    ],
)
def test_list_pages_that_never_end_are_given_up(fetch: Any, calls: int):
    asked: list[int] = []

    def counted(number: int) -> ListPage[str]:
        asked.append(number)
        return fetch(number)

    with pytest.raises(BadAnswer, match="list projects: the list goes in a circle"):
        paging.whole_list(counted, tried="list projects")
    assert asked == list(range(calls))
