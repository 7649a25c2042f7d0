"""Step 6 of the guide: show the run, ask, request its end, and never call cancelled what is not."""

import subprocess

import pytest

pytestmark = pytest.mark.e2e


def asked(maia):
    """What the API was asked to end, as (force) of each request."""
    return [each["force"] for each in maia.requests("PATCH")]


# Asking


def test_without_a_terminal_an_answer_or_yes_it_does_nothing(maia):
    run_id = maia.made_up()
    done = maia("cancel", run_id)
    assert done.returncode == 1
    assert "pipeline     finance/slow.orch.yaml" in done.stdout, "it shows the run all the same"
    assert "nobody answered, so nothing was done; --yes cancels without asking" in done.stderr
    assert (asked(maia), maia.truth(run_id)["status"]) == ([], "RUNNING")


@pytest.mark.parametrize(
    ("answer", "code"), [("y\n", 0), ("YES\n", 0), ("y", 0), ("n\n", 1), ("\n", 1), ("yellow\n", 1)]
)
def test_an_answer_may_come_through_a_pipe(maia, answer, code):
    run_id = maia.made_up()
    done = maia("cancel", run_id, input=answer)
    assert done.returncode == code
    assert "Cancel this run? [y/N]" in done.stderr
    assert asked(maia) == ([False] if code == 0 else [])
    assert ("nothing was done" in done.stderr) == (code == 1)


def test_a_pipe_that_stays_silent_does_not_hold_it_for_ever(maia):
    run_id = maia.made_up()
    going = maia.start("cancel", run_id, stdin=subprocess.PIPE)
    code, _, errors = going.ended()
    assert code == 1
    assert "nobody answered, so nothing was done" in errors
    assert asked(maia) == []


def test_yes_asks_nothing(maia):
    run_id = maia.made_up()
    done = maia("cancel", run_id, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "Asked to end; it is CANCELLING now."
    assert asked(maia) == [False]


# Finished runs


@pytest.mark.parametrize("status", ["SUCCESS", "FAILED", "CANCELLED", "SKIPPED", "FORBIDDEN"])
def test_a_finished_run_is_said_to_be_finished_and_left_alone(maia, status):
    done = maia("cancel", maia.made_up(status=status), "--yes", "--force", "--wait")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == f"It has finished ({status}): there is nothing to cancel."
    assert asked(maia) == []


@pytest.mark.parametrize("answer", [200, 400, 404, 409])
def test_a_run_that_ends_just_before_the_request_is_told_by_its_own_end(maia, answer):
    maia.control("answers", {"cancel_finished": answer})
    maia.control("faults", {"kind": "patch_race", "outcome": "SUCCESS", "method": "PATCH"})
    done = maia("cancel", maia.made_up(), "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "It has ended: SUCCESS."


# Ending


def test_wait_follows_until_the_api_reports_the_end(maia):
    run_id = maia.made_up()
    done = maia("cancel", run_id, "--yes", "--wait")
    assert done.returncode == 0
    assert "CANCELLING for " in done.stderr
    assert "\nCANCELLED after " in done.stdout
    assert maia.truth(run_id)["status"] == "CANCELLED"


def test_a_run_that_ends_by_itself_meanwhile_is_not_called_cancelled(maia):
    run_id = maia.made_up("finance/deaf.orch.yaml")
    going = maia.start("cancel", run_id, "--yes", "--wait")
    going.until("CANCELLING for ")
    maia.control(f"runs/{run_id}/end", {"status": "SUCCESS"})
    code, output, _ = going.ended()
    assert code == 0
    assert "\nSUCCESS after " in output
    assert "CANCELLED" not in output


def test_a_run_that_was_asked_already_is_not_asked_again_but_can_be_forced(maia):
    run_id = maia.made_up("finance/deaf.orch.yaml")
    maia("cancel", run_id, "--yes")
    again = maia("cancel", run_id)
    assert again.returncode == 0
    assert "It has been asked to end already; --force ends it by force." in again.stdout
    forced = maia("cancel", run_id, "--force", "--wait", input="y\n")
    assert "End this run by force? [y/N]" in forced.stderr
    assert "\nCANCELLED after " in forced.stdout
    assert asked(maia) == [False, True]


def test_ctrl_c_while_waiting_says_how_to_look(maia):
    run_id = maia.made_up("finance/deaf.orch.yaml")
    going = maia.start("cancel", run_id, "--yes", "--wait")
    going.until("CANCELLING for ")
    going.interrupt()
    code, _, errors = going.ended()
    assert code == 130
    assert f"the run has been asked to end; how it stands: maia-exporter status {run_id}" in errors
    assert asked(maia) == [False]


# An answer that leaves doubt


def test_a_request_that_was_heard_though_its_answer_failed_is_not_repeated(maia):
    maia.control("faults", {"kind": "patch_applied", "status": 502})
    done = maia("cancel", maia.made_up(), "--yes")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "Asked to end; it is CANCELLING now."
    assert len(maia.requests("PATCH")) == 1


def test_a_request_that_was_not_heard_says_that_the_run_goes_on(maia):
    maia.control("faults", {"kind": "status", "status": 502, "method": "PATCH"})
    run_id = maia.made_up()
    done = maia("cancel", run_id, "--yes")
    assert done.returncode == 1
    assert f"it is still RUNNING; to ask again: maia-exporter cancel {run_id}" in done.stderr
    assert len(maia.requests("PATCH")) == 1


def test_an_outage_right_after_the_request_says_that_it_was_made(maia):
    run_id = maia.made_up()
    project = f"/dpc/v1/projects/{maia.project_id('Finance')}"
    going = maia.start("cancel", run_id, "--project", "Finance", stdin=subprocess.PIPE)
    going.until("[y/N]")
    maia.control(
        "faults", {"kind": "status", "status": 503, "method": "GET", "path": f"{project}/pipeline-executions/*"}
    )
    going.answer("y\n")
    code, _, errors = going.ended()
    assert code == 1
    assert "it was asked to end, but then could not be read" in errors
    assert asked(maia) == [False]


def test_no_right_to_cancel_names_the_project(maia):
    maia.control("faults", {"kind": "status", "status": 403, "method": "PATCH"})
    done = maia("cancel", maia.made_up(), "--yes")
    assert done.returncode == 1
    assert 'no rights in project "Finance"' in done.stderr


def test_a_run_of_an_unknown_project_is_found_as_status_finds_it(maia):
    run_id = maia.made_up("campaigns/refresh.orch.yaml")
    assert maia("cancel", run_id, "--yes").returncode == 0
    assert maia.requests("PATCH")[0]["run_id"] == run_id
