"""Rendering as a whole: sound output, the same as the oracle's, and as cheap as what has changed."""

import gzip
import random
import zlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.model import PipelineKey, Status
from exporter.core.state import RunCounts
from exporter.metrics.cap import within_cap
from exporter.metrics.exposition import Exposition
from exporter.metrics.facts import FactsRenderer
from exporter.metrics.formats import END, Format
from exporter.metrics.self_metrics import SelfMetrics
from exporter.metrics.snapshot import Snapshot

from .oracle import oracle_text
from .reading import assert_sound, samples, text_of
from .states import BOUNDS, FINANCE, KEY, NOON, SALES, active, finished, pipeline, small_state, state, states

GOLDEN = Path(__file__).parent / "golden"
HARMLESS = {0: "0", 0xD800: "8", 0xFFFD: "9"}


@pytest.mark.parametrize("form", Format)
def test_a_small_state_reads_as_it_always_has(form):
    facts = FactsRenderer().render(Snapshot(state=small_state(), bucket_bounds=BOUNDS))
    assert text_of(facts, form) == (GOLDEN / f"{form.name.lower()}.txt").read_text(encoding="utf-8")


@given(states(), st.sampled_from([(), BOUNDS, (0.5,)]))
def test_any_state_renders_to_sound_text_that_both_parsers_read_alike(some_state, bounds):
    facts = FactsRenderer().render(Snapshot(state=some_state, bucket_bounds=bounds))
    read = {}
    for form in Format:
        text = text_of(facts, form) + END[form]
        assert_sound(text)
        read[form] = samples(text, form)
    assert read[Format.TEXT] == read[Format.OPENMETRICS]


@given(states(), st.sampled_from([(), BOUNDS]), st.sampled_from(Format))
def test_any_state_reads_as_prometheus_client_would_have_written_it(some_state, bounds, form):
    some_state = with_harmless_names(some_state)
    facts = FactsRenderer().render(Snapshot(state=some_state, bucket_bounds=bounds))
    assert samples(text_of(facts, form) + END[form], form) == samples(oracle_text(some_state, bounds, form), form)


def with_harmless_names(some_state):
    """Without what only our own code has to care for: NUL, half characters, and names that stand for absent ones."""

    def harmless(key):
        environment, name = (part.translate(HARMLESS) for part in (key.environment_name, key.pipeline_name))
        return replace(key, environment_name=f"e{environment}", pipeline_name=f"p{name}")

    pipelines = {harmless(k): replace(p, key=harmless(k)) for k, p in some_state.pipelines.items()}
    pipelines = {k: replace(p, pipeline_type=p.pipeline_type.translate(HARMLESS)) for k, p in pipelines.items()}
    unfinished = {
        run_id: replace(record, run=replace(record.run, pipeline=harmless(record.run.pipeline)))
        for run_id, record in some_state.unfinished.items()
    }
    introduced = {harmless(key): 1 for key in some_state.introduced}
    return replace(some_state, pipelines=pipelines, unfinished=unfinished, introduced=introduced)


@given(st.lists(st.tuples(states(), st.sampled_from([(), BOUNDS]), st.integers(0, 4)), min_size=1, max_size=4))
def test_rendering_after_other_states_is_rendering_afresh(history):
    renderer = FactsRenderer()
    for some_state, bounds, cap in history:
        shown = cap or 1_000
        facts = renderer.render(Snapshot(state=some_state, bucket_bounds=bounds, max_pipelines=1_000))
        assert facts == FactsRenderer().render(Snapshot(state=some_state, bucket_bounds=bounds, max_pipelines=1_000))
        capped = renderer.render(Snapshot(state=some_state, bucket_bounds=bounds, max_pipelines=shown))
        assert capped.shown == min(shown, len(some_state.pipelines))
        assert_sound(text_of(capped))


def many(number):
    return [pipeline(PipelineKey(FINANCE, "prod", f"p{index:04}")) for index in range(number)]


def step(before, **fields):
    """The state as the tracker hands it on: new mappings, what did not change the very same."""
    copies = {"pipelines": dict(before.pipelines), "unfinished": dict(before.unfinished)}
    return replace(before, **{**copies, **fields})


@pytest.mark.parametrize("seed", range(5))
def test_a_long_life_of_small_changes_ends_where_a_fresh_start_would(seed):
    chance = random.Random(seed)
    renderer = FactsRenderer()
    now = state(*many(130))
    for number in range(30):
        pipelines, unfinished = dict(now.pipelines), dict(now.unfinished)
        key = chance.choice(list(pipelines))
        doing = chance.choice(("start", "end", "count", "leave", "come", "rename", "introduce"))
        names, introduced = now.project_names, {}
        if doing == "start":
            unfinished[str(number)] = active(str(number), key=key)
        elif doing == "end" and unfinished:
            unfinished.popitem()
        elif doing == "count":
            pipelines[key] = replace(pipelines[key], counts=RunCounts(finished=(number,) * 6))
        elif doing == "leave":
            del pipelines[key]
            unfinished = {i: record for i, record in unfinished.items() if record.run.pipeline != key}
        elif doing == "come":
            new = pipeline(PipelineKey(SALES, "prod", f"q{number}"), last_run=finished(Status.SUCCESS))
            pipelines[new.key] = new
        elif doing == "rename":
            names = {**names, FINANCE: f"Finance {number}"}
        else:
            introduced = {key: 1}
        now = replace(now, pipelines=pipelines, unfinished=unfinished, project_names=names, introduced=introduced)
        facts = renderer.render(Snapshot(state=now))
        assert facts == FactsRenderer().render(Snapshot(state=now)), doing


def test_a_poll_that_changed_nothing_renders_nothing():
    renderer = FactsRenderer()
    before = state(*many(10), runs=[active("1", key=PipelineKey(FINANCE, "prod", "p0001"))])
    first = renderer.render(Snapshot(state=before))
    again = renderer.render(Snapshot(state=step(before)))
    assert all(again.bodies[form] is first.bodies[form] for form in Format)


def test_a_poll_that_changed_one_pipeline_compresses_its_neighbours_only():
    renderer = FactsRenderer()
    before = state(*many(200))
    first = renderer.render(Snapshot(state=before)).bodies[Format.TEXT]
    key = PipelineKey(FINANCE, "prod", "p0077")
    changed = {**before.pipelines, key: replace(before.pipelines[key], last_run=finished(Status.FAILED))}
    second = renderer.render(Snapshot(state=step(before, pipelines=changed))).bodies[Format.TEXT]
    new = [piece for piece in second.pieces if not any(piece is old for old in first.pieces)]
    assert 0 < len(new) <= 5
    assert all(b"p0077" in zlib.decompressobj(-15).decompress(piece) for piece in new)


def test_other_bounds_make_another_histogram_of_the_same_state():
    renderer = FactsRenderer()
    for bounds in ((), BOUNDS, (1.0, 2.0), ()):
        snapshot = Snapshot(state=small_state(), bucket_bounds=bounds)
        assert renderer.render(snapshot) == FactsRenderer().render(snapshot)


def test_a_cap_from_the_start_prefers_what_runs_now():
    running = active("1", key=PipelineKey(FINANCE, "prod", "p0002"))
    facts = FactsRenderer().render(Snapshot(state=state(*many(3), runs=[running]), max_pipelines=1))
    assert 'pipeline_name="p0002"' in text_of(facts)


def test_runs_of_hidden_pipelines_are_still_counted():
    renderer = FactsRenderer()
    before = state(*many(3))
    assert renderer.render(Snapshot(state=before, max_pipelines=1)).active_runs == 0
    hidden = active("1", key=PipelineKey(FINANCE, "prod", "p0002"))
    after = renderer.render(Snapshot(state=step(before, unfinished={"1": hidden}), max_pipelines=1))
    assert (after.active_runs, after.shown, after.over_cap) == (1, 1, 2)


CAP = [
    (set(), set(), {"a", "b"}, "those seen first, then by name"),
    ({"c", "d"}, set(), {"c", "d"}, "those shown before stay"),
    ({"d"}, {"c"}, {"c", "d"}, "then those that run"),
    (set(), {"d"}, {"a", "d"}, "then the rest"),
    ({"a", "b", "c"}, {"d"}, {"a", "b"}, "a smaller cap lets the last of those shown go"),
    ({"gone", "d"}, set(), {"a", "d"}, "one that has left takes no place"),
]


@pytest.mark.parametrize(("shown", "running", "expected", "reason"), CAP)
def test_the_cap_keeps_the_shown_then_those_with_runs_then_the_first_seen(shown, running, expected, reason):
    def key(name):
        return PipelineKey(FINANCE, "prod", name)

    first_seen = {"a": NOON, "b": NOON, "c": NOON + timedelta(days=1), "d": NOON + timedelta(days=2)}
    kept = within_cap(
        {key(name): pipeline(key(name), first_seen_at=instant) for name, instant in first_seen.items()},
        max_pipelines=2,
        shown_before=frozenset(map(key, shown)),
        active=set(map(key, running)),
    )
    assert {one.pipeline_name for one in kept} == expected, reason


def test_a_run_of_long_ago_counts_as_a_run_for_the_cap():
    old = pipeline(PipelineKey(FINANCE, "prod", "z"), last_run=finished(Status.SUCCESS), first_seen_at=NOON)
    kept = within_cap({one.key: one for one in (*many(3), old)}, max_pipelines=1, shown_before=(), active=())
    assert kept == {old.key}


def test_what_is_shown_stays_shown_when_others_begin_to_run():
    renderer = FactsRenderer()
    before = state(*many(3))
    first = renderer.render(Snapshot(state=before, max_pipelines=2))
    newcomer = active("1", key=PipelineKey(FINANCE, "prod", "p0002"))
    more = {**before.pipelines, KEY: pipeline()}
    after = step(before, unfinished={"1": newcomer}, pipelines=more)
    second = renderer.render(Snapshot(state=after, max_pipelines=2))
    assert text_of(first) == text_of(second)
    assert second.over_cap == 2


def exposition(monotonic=lambda: 0.0):
    ours = SelfMetrics(version="1.2.3", started_at=NOON, poll_interval=timedelta(seconds=30))
    return Exposition(ours, monotonic=monotonic)


OPENMETRICS = "application/openmetrics-text"


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_a_page_is_the_facts_about_maia_and_then_those_about_us_plain_and_zipped_alike(accept):
    pages = exposition()
    facts = pages.publish(Snapshot(state=small_state()))
    form = Format.OPENMETRICS if accept else Format.TEXT
    plain, zipped = pages.page(accept, ""), pages.page(accept, "gzip")
    assert plain.body.decode().startswith(text_of(facts, form))
    assert "\nmaia_up 0.0\n" in plain.body.decode()
    assert gzip.decompress(zipped.body) == plain.body
    assert (plain.content_encoding, zipped.content_encoding) == ("", "gzip")
    assert plain.content_type == zipped.content_type == form.value
    assert_sound(plain.body.decode().removesuffix(END[form]))
    assert samples(plain.body.decode(), form)


def test_a_page_is_made_once_until_something_changes():
    pages = exposition()
    pages.publish(Snapshot(state=small_state()))
    first = pages.page("", "gzip")
    assert pages.page("", "gzip") is first
    pages.ours.store_failed()
    assert pages.page("", "gzip") is not first


def test_a_scrape_in_the_middle_of_publishing_does_not_outlive_it():
    pages = exposition()
    pages.ours.facts_rendered = lambda _: pages.page("", "")
    pages.publish(Snapshot(state=small_state()))
    assert "maia_pipeline_info{" in pages.page("", "").body.decode()


def test_memory_and_cpu_time_are_looked_at_again_after_a_second():
    seconds = [0.0]
    pages = exposition(monotonic=lambda: seconds[0])
    first = pages.page("", "")
    seconds[0] = 0.9
    assert pages.page("", "") is first
    seconds[0] = 1.1
    assert pages.page("", "") is not first


def test_publishing_shows_what_is_tracked_and_what_the_record_has_counted():
    pages = exposition()
    pages.publish(Snapshot(state=small_state(), max_pipelines=2))
    found = {series.name: number for series, number in samples(pages.page("", "").body.decode()).items()}
    assert found["maia_exporter_tracked_pipelines"] == 3
    assert found["maia_exporter_tracked_runs"] == 3
    assert found["maia_exporter_pipelines_over_cap"] == 1
    assert found["maia_exporter_possibly_missed_runs_total"] == 2


def test_a_follower_shows_maia_exporter_families_and_nothing_else():
    pages = exposition()
    pages.publish(Snapshot(state=small_state()))
    pages.ours.follows()
    found = samples(pages.page("", "").body.decode())
    assert {series.name for series in found if not series.name.startswith("maia_exporter_")} == set()
    assert gzip.decompress(pages.page("", "gzip").body) == pages.page("", "").body
    pages.ours.leads()
    assert "maia_pipeline_info" in pages.page("", "").body.decode()
