"""A config that changes while the service runs, as a process: what takes effect, and what must not happen thereby."""

import os
import re
import signal
import threading

import pytest
from delivery.targets import OK, Answer, HttpTarget

from .processes import until

pytestmark = pytest.mark.e2e

SCRIPT = """
history = "0s"
requests_per_minute = 1000000
[[projects]]
name = "Finance"
environments = ["prod", "test"]
[[pipelines]]
project = "Finance"
environments = ["prod", "test"]
name = "load.orch.yaml"
duration = "10m"
"""


class Bench:
    """A service whose config file is written anew, its simulator, web hooks."""

    def __init__(self, stage):
        self.script = stage.folder / "script.toml"
        self.script.write_text(SCRIPT)
        self.simulator = stage.simulator(script=self.script, speed=1.0)
        self.stage = stage
        self.hooks = {}

    def hook(self, name, answer=OK):
        self.hooks[name] = hook = HttpTarget(answer)
        return hook

    def begin(self, extra="", **options):
        self.service = self.stage.service(api=self.simulator.url, extra=extra, **options)
        self.service.up()
        self.polled()  # what ends from now on is no history
        self.account = self.service.config.read_text().removesuffix(extra + "\n")
        self.read = 1

    def write(self, extra, *, replace="", by=""):
        """As an editor does: a new file takes the name of the old."""
        new = self.service.config.with_suffix(".new")
        new.write_text(self.account.replace(replace, by) + extra + "\n")
        new.rename(self.service.config)

    def reread(self, extra, **options):
        """Write it, and wait until it is in effect."""
        self.write(extra, **options)
        self.taken()

    def taken(self):
        self.read += 1
        until(lambda: self.service.text.count("takes effect with the next poll") == self.read - 1, what="it is read")
        self.polled()

    def polled(self, times=2):
        """A poll that began after now has ended."""
        polls = self.service.sample("maia_exporter_polls_total")
        until(lambda: self.service.sample("maia_exporter_polls_total") >= polls + times, what="it polls on")

    def fail(self, environment="prod"):
        return self.simulator.tell(
            "runs", pipelineName="load.orch.yaml", environmentName=environment, status="FAILED", message="ORA-00942"
        )["pipelineExecutionId"]

    def logged(self, method, path):
        return [each for each in self.simulator.log_of_requests() if each["method"] == method and path in each["path"]]


@pytest.fixture
def bench(stage):
    made = Bench(stage)
    yield made
    for hook in made.hooks.values():
        hook.stop()


def runs_in(hook):
    return re.findall(r"^run id: (\S+)", "\n".join(post.body for post in hook.posts), re.MULTILINE)


def target(name, hook, path="hook"):
    return f'[[targets]]\nname = "{name}"\nurl = "json://127.0.0.1:{hook.port}/{path}"\n'


def test_targets_scope_and_intervals_change_at_once_and_nobody_hears_of_what_was_before(bench):
    one, two = bench.hook("one"), bench.hook("two")
    bench.begin(target("one", one), poll='environments = ["prod"]')
    early, outside = bench.fail(), bench.fail("test")
    one.wait_for(1)
    pid, tokens = bench.service.pid, len(bench.logged("POST", "/oauth"))
    polls = bench.service.sample("maia_exporter_polls_total")

    bench.reread(
        target("one", one) + target("two", two) + '[store]\nretention = "100d"\n[metrics]\nmax_pipelines = 1\n',
        replace='interval = "1s"\nenvironments = ["prod"]',
        by='interval = "2s"',
    )
    late, inside = bench.fail(), bench.fail("test")

    two.wait_for(2)
    one.wait_for(3)
    assert sorted(runs_in(one)) == sorted([early, late, inside]), f"{outside} is history, as at a start"
    assert sorted(runs_in(two)) == sorted([late, inside])
    sample = bench.service.sample
    assert sample("maia_exporter_poll_interval_seconds") == 2
    assert sample("maia_exporter_pipelines_over_cap") == 1
    assert sample("maia_exporter_polls_total") > polls, "it is the same process"
    assert bench.service.pid == pid
    assert "[store] retention: changed, and takes effect only with a restart" in bench.service.text
    assert len(bench.logged("POST", "/oauth")) == tokens == 1, "the token is kept"
    bench.reread(target("two", two))
    last = bench.fail()
    two.wait_for(3)
    assert last not in runs_in(one)


def test_a_bad_file_changes_nothing_and_says_why_until_it_is_mended(bench):
    one = bench.hook("one")
    bench.begin(target("one", one))
    bench.write(target("one", one) + '[poll2]\n[[routes]]\ntargets = ["nobody"]\n')
    sample = bench.service.sample
    until(lambda: sample("maia_exporter_config_last_reload_successful") == 0, what="it is refused")
    good_at = sample("maia_exporter_config_last_reload_success_timestamp_seconds")

    assert "[poll2]: unknown table" in bench.service.text
    assert '"nobody" is not the name of a target' in bench.service.text
    run = bench.fail()
    one.wait_for(1)
    assert runs_in(one) == [run]
    bench.write(target("one", one))
    until(lambda: sample("maia_exporter_config_last_reload_successful") == 1, what="it is good again")
    assert sample("maia_exporter_config_last_reload_success_timestamp_seconds") > good_at
    assert sample("maia_up") == 1
    os.kill(bench.service.pid, signal.SIGHUP)
    until(lambda: bench.service.text.count("nothing in it has changed") == 2, what="a SIGHUP reads it all the same")


def test_a_send_that_is_under_way_is_neither_lost_nor_repeated_and_a_new_url_starts_afresh(bench):
    held = threading.Event()
    slow = bench.hook("slow", Answer(after=held))
    gone, back = bench.hook("gone", Answer(status=404)), bench.hook("back")
    secret = bench.stage.folder / "url"
    secret.write_text(f"json://127.0.0.1:{gone.port}/")
    moving = '[[targets]]\nname = "moving"\nurl_file = "url"\n'
    bench.begin(target("slow", slow) + moving)
    run = bench.fail()
    slow.wait_for(1)
    until(lambda: bench.service.sample("maia_notification_target_suspended", target="moving") == 1, what="suspended")

    bench.reread(target("slow", slow) + moving + '[alerts]\ntimezone = "Europe/Berlin"\n')
    held.set()
    until(lambda: bench.service.sample("maia_notification_queue_length", target="slow") == 0, what="it is settled")
    assert runs_in(slow) == [run]
    secret.write_text(f"json://127.0.0.1:{back.port}/")  # the config itself stays as it is

    back.wait_for(1)
    assert runs_in(back) == [run]
    until(lambda: bench.service.sample("maia_notification_target_suspended", target="moving") == 0, what="it is not")


def test_a_limit_that_goes_between_the_intent_and_the_request_cancels_nothing(bench):
    limit = '[[limits]]\nname = "nightly"\nenvironments = ["prod"]\nmode = "cancel"\ncancel_after = "30m"\n'
    bench.begin(limit)
    run = bench.simulator.tell(
        "runs", pipelineName="load.orch.yaml", environmentName="prod", status="RUNNING", trigger="API", ago="1h"
    )["pipelineExecutionId"]
    bench.simulator.fault("status", path=f"*/{run}", method="GET", status=503)
    until(bench.simulator.struck, what="it is looked at, in vain, before the request")

    bench.reread("")
    bench.simulator.calm_down()
    bench.polled(times=4)
    assert not bench.logged("PATCH", run)

    bench.reread(limit)
    until(lambda: bench.logged("PATCH", run), what="it is asked to stop")
    assert len(bench.logged("PATCH", run)) == 1
