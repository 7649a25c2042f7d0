"""How durations are read and written."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.durations import DurationError, duration_literal, format_duration, parse_duration

WRITTEN = [
    ("90s", 90, "seconds may exceed a minute"),
    ("30m", 1_800, "m is minutes"),
    ("2h", 7_200, "h is hours"),
    ("7d", 604_800, "d is days of 24 hours"),
    ("1h30m", 5_400, "units add up"),
    ("1d2h3m4s", 93_784, "all units, larger first"),
    ("007s", 7, "leading zeros are harmless"),
]


@pytest.mark.parametrize(("text", "seconds", "reason"), WRITTEN)
def test_a_number_with_a_unit_is_a_duration(text, seconds, reason):
    assert parse_duration(text) == timedelta(seconds=seconds), reason


REFUSED = [
    ("90", 'has no unit; write "90s" for seconds, or use m, h or d'),
    ("", "is not a duration"),
    ("0s", "is zero"),
    ("0h0m", "is zero"),
    ("-5m", "is negative"),
    ("90ms", "is not a duration"),  # milliseconds are a mistaken unit
    ("1.5h", "is not a duration"),
    ("30m1h", "is not a duration"),  # probably not meant as a sum
    ("1h 30m", "is not a duration"),
    ("2H", "is not a duration"),
    ("2w", "is not a duration"),
    ("٣s", "is not a duration"),  # a digit, but not ASCII
    ("٣", "is not a duration"),
    ("36501d", "is longer than 100 years"),
    ("9999999999s", "is not a duration"),  # ten digits: no number is computed from it
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_anything_else_is_refused_and_says_why(text, message):
    with pytest.raises(DurationError) as error:
        parse_duration(text)
    assert str(error.value).startswith(message)
    assert error.value.hint


def test_zero_is_a_duration_only_where_it_is_asked_for():
    assert parse_duration("0s", allow_zero=True) == timedelta(0)


def test_the_longest_duration_can_be_taken_from_any_date_of_this_age():
    assert parse_duration("36500d") == timedelta(days=36_500)


@given(st.integers(min_value=0, max_value=36_500 * 86_400))
def test_what_is_written_reads_back_the_same(seconds):
    duration = timedelta(seconds=seconds)
    assert parse_duration(duration_literal(duration), allow_zero=True) == duration


FOR_PEOPLE = [
    (0, "0 s", "nothing"),
    (0.9, "0 s", "parts of a second are dropped"),
    (45, "45 s", "seconds"),
    (60, "1 min", "no zero beside it"),
    (125, "2 min 5 s", "two units"),
    (10_920, "3 h 2 min", "the example of the messages"),
    (10_979, "3 h 2 min", "a third unit is dropped, not rounded"),
    (3_605, "1 h", "a far smaller unit says nothing"),
    (183_600, "2 d 3 h", "days"),
    (-125, "-2 min 5 s", "a clock that is off"),
]


@pytest.mark.parametrize(("seconds", "text", "reason"), FOR_PEOPLE)
def test_people_read_the_two_largest_units(seconds, text, reason):
    assert format_duration(timedelta(seconds=seconds)) == text, reason


def test_a_file_gets_all_units_without_spaces():
    assert duration_literal(timedelta(hours=1, minutes=30)) == "1h30m"
    assert duration_literal(timedelta(0)) == "0s"
