"""The guide on a terminal: a live line, drawn tables, a question that waits, and nothing that API text can do."""

import pytest

pytestmark = pytest.mark.e2e

SLOW = ("execute", "Finance", "finance/slow.orch.yaml", "-e", "prod", "--wait")


def started(maia):
    (pipeline,) = maia.control("truth?pipeline=finance/slow.orch.yaml")["pipelines"]
    return pipeline["runs"][0]["pipelineExecutionId"]


def test_waiting_shows_one_line_that_is_written_over_and_gone_at_the_end(maia):
    terminal = maia.terminal(*SLOW)
    terminal.until("RUNNING for 1 s, at Lock Positions")
    screen = terminal.until("RUNNING for 2 s, at Lock Positions")
    live = screen.split("RUNNING for ", 1)[1]
    assert "\r\x1b[2K" in live, "each look is written over the last"
    assert "\n" not in live
    maia.control(f"runs/{started(maia)}/end", {"status": "FAILED", "message": "no such table"})
    code, screen = terminal.ended()
    assert code == 1
    rest = screen.split("FAILED after ")
    assert "\x1b[2K" in rest[0][-20:], "the live line is removed before the end is told"
    assert "no such table" in rest[1]
    assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l"), "the cursor is shown again"


def test_ctrl_c_typed_while_waiting_cancels_nothing_and_leaves_the_terminal_whole(maia):
    terminal = maia.terminal(*SLOW)
    terminal.until("at Lock Positions")
    terminal.type("\x03")
    code, screen = terminal.ended()
    assert code == 130
    assert f"to cancel it: maia-exporter cancel {started(maia)}" in screen.replace("\r\n", " ")
    assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l")
    assert maia.requests("PATCH") == []


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(maia):
    maia.env["TERM"] = "dumb"
    terminal = maia.terminal(*SLOW)
    terminal.until("at Lock Positions")
    maia.control(f"runs/{started(maia)}/end", {"status": "SUCCESS"})
    code, screen = terminal.ended()
    assert (code, "\x1b" in screen) == (0, False)


@pytest.mark.parametrize(("typed", "ends"), [("y\n", [False]), ("\n", [])])
def test_cancel_asks_and_waits_for_the_answer(maia, typed, ends):
    terminal = maia.terminal("cancel", maia.made_up())
    terminal.until("Cancel this run? [y/N] ")
    terminal.type(typed)
    code, _ = terminal.ended()
    assert code == (0 if ends else 1)
    assert [each["force"] for each in maia.requests("PATCH")] == ends


def test_a_table_is_drawn_where_it_fits(maia):
    code, screen = maia.terminal("projects").ended()
    assert code == 0
    assert "────" in screen
    assert all(len(line) <= 130 for line in screen.splitlines())
    assert maia.project_id("Finance") in screen


def test_a_narrow_terminal_gets_whole_ids_and_names(maia):
    run_id = maia.made_up()
    maia.env["COLUMNS"] = "60"
    code, screen = maia.terminal("executions").ended()
    assert code == 0
    assert "────" not in screen
    assert run_id in screen
    assert "finance/slow.orch.yaml" in screen


def test_hostile_text_of_the_api_stays_on_its_line(maia):
    run_id = maia.made_up(
        "finance/\x1b]0;title\x07\x1b[31mx\n\u202ey.orch.yaml",
        status="FAILED",
        projectName="Finance",
        user="[bold]ada[/bold]",
        trigger="DESIGNER",
        message="one\r\ntwo\x1b[2J\x9bK",
    )
    shown = "".join(
        maia.terminal(*each).ended()[1] for each in (("status", run_id), ("steps", run_id), ("executions",))
    )
    for bad in ("\x1b]0", "\x07", "\x1b[31m", "\u202e", "\x1b[2J", "\x9b"):
        assert bad not in shown
    assert "one\\r\\ntwo\\x1b[2J\\x9bK" in shown
    assert "[bold]ada[/bold]" in shown
