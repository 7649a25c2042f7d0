"""What pipelines are called, and that no two are called the same."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.model import PipelineKey
from exporter.metrics.labels import escaped, pipeline_labels, project_labels

from .reading import rendered
from .states import FINANCE, PROJECT_IDS, SALES, keys, names, pipeline, state

TWIN = "5e1f0000-bbbb-4bbb-8ccc-000000000009"

PROJECTS = [
    ({FINANCE: "Finance"}, {FINANCE: "Finance"}, "its name"),
    ({FINANCE: "Ops", SALES: "Ops"}, {FINANCE: "Ops (5e1f0000)", SALES: "Ops (77aa0000)"}, "one name: both say which"),
    ({}, {FINANCE: FINANCE, "": "unknown"}, "a name nobody knows, a project nobody named"),
    ({FINANCE: ""}, {FINANCE: FINANCE}, "an empty name is none"),
    ({FINANCE: "unknown"}, {FINANCE: "unknown (5e1f0000)", "": "unknown"}, "really called unknown: it gives way"),
    ({FINANCE: SALES}, {FINANCE: f"{SALES} (5e1f0000)", SALES: SALES}, "named like another's id: it gives way"),
    (
        {FINANCE: "x", SALES: "x", "abc": "x (5e1f0000)"},
        {FINANCE: "x (5e1f0000)", SALES: "x (77aa0000)", "abc": "x (5e1f0000) (abc)"},
        "named like a twin's label: it gives way",
    ),
    ({FINANCE: "x", TWIN: "x"}, {FINANCE: "x (5e1f0000)", TWIN: f"x ({TWIN})"}, "eight characters are not enough"),
    ({FINANCE: "z\0", SALES: "z\ufffd"}, {FINANCE: "z\ufffd (5e1f0000)", SALES: "z\ufffd (77aa0000)"}, "NUL"),
]


@pytest.mark.parametrize(("known", "expected", "reason"), PROJECTS)
def test_a_project_is_called_by_its_name_unless_that_would_confuse(known, expected, reason):
    assert project_labels(expected, known) == expected, reason


@given(st.sets(st.sampled_from(PROJECT_IDS)), st.dictionaries(st.sampled_from(PROJECT_IDS), names))
def test_no_two_projects_are_called_the_same(ids, known):
    labels = project_labels(ids, known)
    assert set(labels) == ids | set(known)
    assert len(set(labels.values())) == len(labels)


@given(st.sets(keys, max_size=12), st.dictionaries(st.sampled_from(PROJECT_IDS), names))
def test_no_two_pipelines_have_the_same_labels(all_keys, known):
    labels = pipeline_labels(all_keys, known)
    assert set(labels) == all_keys
    assert len(set(labels.values())) == len(labels)


def test_an_absent_environment_is_unknown_even_beside_one_that_is_called_so():
    absent, named = PipelineKey("", "", "a"), PipelineKey("", "unknown", "a")
    labels = pipeline_labels([named, absent], {})
    assert labels[absent] == 'project_name="unknown",environment_name="unknown",pipeline_name="a"'
    assert labels[named] == 'project_name="unknown",environment_name="unknown",pipeline_name="a #2"'


def test_pipelines_are_in_the_order_of_their_names():
    twins = [PipelineKey(SALES, "prod", "a"), PipelineKey(FINANCE, "test", "a"), PipelineKey(FINANCE, "prod", "b")]
    labels = list(pipeline_labels(twins, {FINANCE: "Finance", SALES: "Another"}).values())
    assert all(one < other for one, other in pairwise(labels))
    assert "Another" in labels[0]


ESCAPES = [
    ('say "hi"', r"say \"hi\"", "a quotation mark would end the value"),
    ("a\\b", r"a\\b", "a backslash would escape what follows"),
    ("a\nb", r"a\nb", "a line feed would end the line"),
    ("a\\nb", r"a\\nb", "a backslash before an n is no line feed"),
    ("a\r\tb", "a\r\tb", "other white space stands"),
    ("\u202eabc", "\u202eabc", "so does what turns the reading direction"),
    ("a\0b", "a\ufffdb", "Prometheus takes NUL for the end and refuses the whole scrape"),
    ("é\0b", "é\ufffdb", "also beside other letters"),
    ("a\ud800b", "a\ufffdb", "half a character has no UTF-8"),
    ("\U0001f600", "\U0001f600", "a whole one outside the first plane has"),
]


@pytest.mark.parametrize(("name", "expected", "reason"), ESCAPES)
def test_a_value_is_escaped_as_the_format_says(name, expected, reason):
    assert escaped(name) == expected, reason


@pytest.mark.parametrize("name", ['say "hi"', "a\\b", "a\nb", "a\\nb", "\u202eabc", 'x"} 1\nmaia_up 1'])
def test_a_hostile_name_comes_out_of_a_parser_as_it_went_in(name):
    found = rendered(state(pipeline(PipelineKey(FINANCE, name, name)), project_names={FINANCE: name}))
    assert len(found) > 10
    for series in found:
        labels = dict(series.labels)
        assert (labels["project_name"], labels["environment_name"], labels["pipeline_name"]) == (name, name, name)
