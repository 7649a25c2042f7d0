"""`alerts`, `silence` and `limits` through the installed console script, beside the service and without it."""

import json
import subprocess

import pytest
from delivery.targets import OK, Answer, HttpTarget

from .processes import EXPORTER, until

pytestmark = pytest.mark.e2e

SCRIPT = """
history = "0s"
[[projects]]
name = "Finance"
environments = ["prod"]
[[pipelines]]
project = "Finance"
name = "finance/load.orch.yaml"
[[pipelines]]
project = "Finance"
name = "finance/slow.orch.yaml"
"""

LIMITS = """
[cancel]
max_per_hour = 1
[[limits]]
name = "short"
environments = ["prod"]
pipelines = ["slow"]
warn_after = "1s"
cancel_after = "2s"
allow_short = true
mode = "cancel"
"""

ROW = {
    "event_id": str,
    "run_id": str,
    "event": str,
    "target": str,
    "state": str,
    "attempts": int,
    "next_at": str | None,
    "last_error": str,
}


def command(*words, folder):
    return subprocess.run([EXPORTER, *words], capture_output=True, text=True, timeout=60, cwd=folder, check=False)


class Desk:
    """An account in which runs fail when told to, a target, a service, and the commands beside it."""

    def __init__(self, stage):
        script = stage.folder / "script.toml"
        script.write_text(SCRIPT)
        self.stage = stage
        self.simulator = stage.simulator(script=script, speed=0)
        self.target = HttpTarget()

    def serves(self, extra=""):
        targets = f'[[targets]]\nname = "hook"\nurl = "{self.target.url}"\n'
        service = self.stage.service(api=self.simulator.url, extra=targets + extra)
        service.up()
        return service

    def run(self, pipeline="finance/load.orch.yaml", **what):
        return self.simulator.tell("runs", pipelineName=pipeline, **what)["pipelineExecutionId"]

    def command(self, *words):
        return command(*words, folder=self.stage.folder)

    def rows(self, *words):
        done = self.command(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def settled(self, service, **numbers):
        """Wait until so many deliveries have ended so: sent, dead_letters or suppressed."""
        names = {
            "sent": "maia_notifications_total",
            "dead": "maia_notification_dead_letters",
            "suppressed": "maia_notifications_suppressed_total",
        }
        for state, number in numbers.items():
            until(lambda: sum(service.samples(names[state])) == number, timeout=60, what=f"{number} {state}")  # noqa: B023


@pytest.fixture
def desk(stage):
    desk = Desk(stage)
    yield desk
    desk.target.stop()


def test_alerts_list_and_show_say_what_was_sent_and_why(desk):
    service = desk.serves()
    run = desk.run(status="FAILED", message="ORA-00942")
    desk.settled(service, sent=1)

    (row,) = desk.rows("alerts", "list", "--state", "sent")

    assert {key: type(row[key]) for key in ROW} == ROW | {"next_at": type(None)}
    assert (row["event_id"], row["run_id"], row["event"]) == (f"{run}:FAILED", run, "FAILED")
    assert (row["target"], row["state"], row["attempts"], row["last_error"]) == ("hook", "sent", 1, "")
    assert desk.command("alerts", "list", "--plain").stdout == f"{run}:FAILED\n"
    shown = desk.command("alerts", "show", f"{run}:FAILED")
    assert shown.returncode == 0
    assert "because: there is no route, so that everything goes to every target" in shown.stdout
    assert "attempt 1:" in shown.stdout
    unknown = desk.command("alerts", "show", "nobody:FAILED")
    assert (unknown.returncode, unknown.stdout) == (1, "")


def test_what_a_target_refuses_is_a_dead_letter_until_it_is_driven_again(desk):
    service = desk.serves()
    desk.target.answer = Answer(status=400)
    run = desk.run(status="FAILED")
    desk.settled(service, dead=1)
    (dead,) = desk.rows("alerts", "list", "--state", "dead")
    assert dead["attempts"] == 2  # whole, then in minimal form
    assert "400" in dead["last_error"]
    for nothing in (["nobody:FAILED"], ["--target", "nobody"]):
        refused = desk.command("alerts", "retry", *nothing)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "alerts list --state dead" in refused.stderr

    desk.target.answer = OK
    done = desk.command("alerts", "retry")

    assert (done.returncode, done.stdout) == (0, "1 to be sent again\n")
    desk.settled(service, sent=1, dead=0)
    assert [run in post.body for post in desk.target.posts] == [True] * 3
    assert desk.command("alerts", "retry").stdout == "no dead letters\n"


def test_without_a_service_a_dead_letter_waits_for_the_next(desk):
    service = desk.serves()
    desk.target.answer = Answer(status=400)
    run = desk.run(status="FAILED")
    desk.settled(service, dead=1)
    assert service.end() == 0

    assert desk.command("alerts", "retry", f"{run}:FAILED").stdout == "1 to be sent again\n"

    assert [row["state"] for row in desk.rows("alerts", "list")] == ["pending"]
    desk.target.answer = OK
    desk.settled(desk.serves(), sent=1)


@pytest.mark.parametrize("serving", [True, False])
def test_a_test_goes_the_way_of_every_alert(desk, serving):
    service = desk.serves()
    if not serving:
        service.end()

    done = desk.command("alerts", "test", "hook")

    assert (done.returncode, done.stdout) == (0, "delivered to hook\n"), done.stderr
    assert [post.title for post in desk.target.posts] == ["EXPORTER: a test of target hook"]


def test_a_test_says_why_it_did_not_arrive(desk):
    desk.serves()
    desk.target.answer = Answer(status=404)

    refused, unknown = desk.command("alerts", "test", "hook"), desk.command("alerts", "test", "hok")

    assert refused.returncode == 1
    assert "404" in refused.stderr
    assert unknown.returncode == 2
    assert "hook" in unknown.stderr


def test_a_silence_holds_until_it_is_ended_and_what_it_silenced_is_never_sent(desk):
    service = desk.serves()
    words = ("--project", "Fin*", "--environment", "prod", "--pipeline", "load", "--for", "2h")

    added = desk.command("silence", "add", *words, "--author", "ann", "--comment", "move")

    assert added.returncode == 0, added.stderr
    (silence,) = desk.rows("silence", "list")
    assert silence["id"] == added.stdout.strip()
    assert (silence["author"], silence["comment"], silence["pipeline"]) == ("ann", "move", "load")
    assert silence["ends_at"].endswith("Z")
    quiet = desk.run(status="FAILED")
    desk.settled(service, suppressed=1)
    (suppressed,) = desk.rows("alerts", "list", "--state", "suppressed")
    assert (suppressed["run_id"], suppressed["suppressed_reason"]) == (quiet, "silenced")
    assert desk.command("silence", "end", silence["id"]).returncode == 0
    assert desk.rows("silence", "list") == []
    loud = desk.run(status="FAILED")
    desk.settled(service, sent=1)
    assert [loud in post.body for post in desk.target.posts] == [True]
    assert desk.command("silence", "end", silence["id"]).returncode == 1


def test_limits_replay_what_they_would_have_done_and_resume_after_the_breaker(desk):
    service = desk.serves(LIMITS)
    first, second = desk.run("finance/slow.orch.yaml"), desk.run("finance/slow.orch.yaml")
    until(lambda: service.sample("maia_cancel_breaker_open") == 1, what="the breaker opens")

    (short,) = desk.rows("limits", "replay", "--since", "30d")

    assert (short["limit"], short["mode"], short["matchedPipelines"], short["matchedRuns"]) == ("short", "cancel", 1, 2)
    for would in ("wouldHaveWarned", "wouldHaveCancelled"):
        assert {run["pipelineExecutionId"] for run in short[would]} == {first, second}
    done = desk.command("limits", "resume")
    assert done.returncode == 0
    assert done.stdout.endswith("is closed\n")
    until(lambda: service.sample("maia_cancel_breaker_open") == 0, what="the service sees it")
    assert desk.command("limits", "resume").stdout == "the breaker is closed already\n"


def test_they_say_what_is_wrong_with_the_command_line(tmp_path):
    for words in (
        ("alerts", "list", "--state", "lost"),
        ("silence", "add", "--for", "2"),
        ("silence", "add"),
        ("limits", "replay", "--since", "30"),
    ):
        done = command(*words, folder=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert "Traceback" not in done.stderr
