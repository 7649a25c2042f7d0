"""Text of the API is inert: nothing of its making works in Slack, in a mail or on a terminal."""

import re
import unicodedata
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.inert import inert, plain_ascii, shortened, shortened_middle

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        # Mentions
        pytest.param("<!channel> look", "<! channel> look", id="Slack's channel mention"),
        pytest.param("<!subteam^S1>", "<! subteam^S1>", id="Slack's group mention"),
        pytest.param("<@U1>", "<@ U1>", id="Slack's user mention"),
        pytest.param("<#C1|general>", "<# C1|general>", id="Slack's link to a channel"),
        pytest.param("@here @channel @everyone", "@ here @ channel @ everyone", id="mentions in words"),
        pytest.param("(@jane)", "(@ jane)", id="a mention in brackets"),
        pytest.param("jane@example.com", "jane@example.com", id="an address stays readable"),
        pytest.param("a @ b", "a @ b", id="a lone sign"),
        # Links
        pytest.param("<http://evil|click>", "<http[:]//evil|click>", id="Slack's disguised link"),
        pytest.param("see https://evil/x", "see https[:]//evil/x", id="a bare link: only ours can be clicked"),
        pytest.param("[click](https://evil)", "[click](https[:]//evil)", id="a link in Markdown"),
        pytest.param("WWW.evil.com", "WWW[.]evil.com", id="a link without a scheme"),
        pytest.param("<mailto:x@y|click>", "<mailto[:]x@y|click>", id="a link to an address"),
        pytest.param("mailto:x@y tel:110", "mailto[:]x@y tel[:]110", id="what a mail program makes a link of"),
        pytest.param("<skype:x|click>", "<skype[:]x|click>", id="any scheme in Slack's brackets"),
        pytest.param("<java::lang>", "<java::lang>", id="no scheme"),
        pytest.param("tel: see below", "tel: see below", id="no number"),
        pytest.param("s3\u200b:\u200b//bucket", "s3[:]//bucket", id="a link that appears when the invisible is gone"),
        # Markup that our formats show as it is
        pytest.param("*bold* _it_ `code` ~no~", "*bold* _it_ `code` ~no~", id="markup is text in plain text"),
        pytest.param("<b>&amp;</b>", "<b>&amp;</b>", id="HTML is escaped by who shows HTML"),
        pytest.param('"Rewrite Table": Success', '"Rewrite Table": Success', id="an ordinary message"),
        pytest.param("[INFO] 50 % of 3,000", "[INFO] 50 % of 3,000", id="brackets and signs"),
        # Headers
        pytest.param("a\r\nBcc: x@y", "a ⏎ Bcc: x@y", id="a header of its own"),
        pytest.param("=?utf-8?q?evil?=", "= ?utf-8?q?evil?=", id="an encoded word in a subject"),
        pytest.param("a=?b", "a=?b", id="no encoded word"),
        # Lines
        pytest.param("a\n\n\n b", "a ⏎ b", id="line breaks"),
        pytest.param("a\u2028b\u2029c\x85d\ve\ff", "a ⏎ b ⏎ c ⏎ d ⏎ e ⏎ f", id="line breaks of other kinds"),
        pytest.param("\n a \n", "a", id="nothing at the ends"),
        pytest.param("a\t\t b\u3000\u3000c", "a b c", id="white space that pushes text out of sight"),
        # Terminals
        pytest.param("\x1b[31mred\x1b[0m", "red", id="colours"),
        pytest.param("\x9b31mred", "red", id="colours in eight bits"),
        pytest.param("\x1b[2J\x1b[1;1Hgone", "gone", id="a cleared screen"),
        pytest.param("\x1b]0;title\x07x", "x", id="a window's title"),
        pytest.param("\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "click", id="a terminal's link"),
        pytest.param("\x1b]0;unfinished, and more", "0;unfinished, and more", id="an unfinished title hides nothing"),
        pytest.param("\x1bPq#0\x1b\\x", "x", id="a picture"),
        pytest.param("\x1b(0x\x1bc", "x", id="another character set, a reset"),
        pytest.param("safe\revil", "safe ⏎ evil", id="overwriting the line"),
        pytest.param("a\x08\x08b\x00c\x7f\x1b", "abc", id="backspace, NUL, delete, a lone escape"),
        # The invisible
        pytest.param("a\u202eb\u2066c\u200fd\u061ce", "abcde", id="marks that turn the direction"),
        pytest.param("pa\u200bss\u2060wo\ufeffrd\u00ad", "password", id="zero width"),
        pytest.param("@\u200bhere", "@ here", id="a mention in hiding"),
        pytest.param("a\U000e0041\U000e007fb\ufffe", "ab", id="tags and what is no character"),
        pytest.param("a\ud800b", "a\ufffdb", id="half a character cannot be sent"),
        pytest.param("\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc\u05d5\u05dd", id="Hebrew stays"),
        pytest.param("Zürich 東京 ✅🔥", "Zürich 東京 ✅🔥", id="all languages and emoji stay"),
        pytest.param(FAMILY, FAMILY, id="emoji that are joined stay together"),
        pytest.param("a\u200db\u200d🔥\u200d", "ab🔥", id="a joiner that joins no emoji goes"),
        pytest.param("❤\ufe0f", "❤\ufe0f", id="a red heart stays red"),
    ],
)
def test_what_people_see(text, shown):
    assert inert(text, 1_000) == shown


SIGNS = ["<", "!", "@", "#", "|", ">", ":", "//", "://", "=?", "?q?", "\n", "\r", " ", "m", "a", "🔥"]
HIDDEN = ["\x1b[", "\x1b]", "\x07", "\x9b", "\u200d", "\u200b", "\u202e", "\ufe0f", "\ud800"]
WORDS = ["www.", "mailto:", "tel:", "http", "here"]
NASTY = st.lists(st.sampled_from([*SIGNS, *HIDDEN, *WORDS]) | st.text(max_size=3), max_size=30).map("".join)


@given(NASTY)
def test_inert_text_has_one_line_and_nothing_in_it_works(text):
    shown = inert(text, 200)
    assert len(shown) <= 200
    assert "://" not in shown
    assert not {"\n", "\r", "\x1b", "\x00", "\u202e", "\u200b"} & set(shown)
    kinds = {unicodedata.category(character) for character in shown if character != "\u200d"}
    assert not kinds & {"Cc", "Cs", "Zl", "Zp"}
    assert not re.search(r"<[!#][^ ]|<@\w", shown)
    shown.encode()


@given(NASTY)
def test_inert_text_stays_as_it_is(text):
    shown = inert(text, 1_000)
    assert inert(shown, 1_000) == shown


def test_100_kb_are_cut():
    began = process_time()
    assert inert("\x1b]" * 50_000 + "x" * 100_000, 1_000) == ""
    assert inert("x" * 100_000, 1_000) == "x" * 999 + "…"
    assert process_time() - began < 2


@pytest.mark.parametrize(
    "text",
    ["\x1b]" * 50_000, "<a" * 50_000, "=?" * 50_000, " " * 100_000 + "x", "\n " * 50_000, "\x1b[" + "0" * 100_000],
    ids=["titles", "tags", "words", "spaces", "lines", "numbers"],
)
def test_no_100_kb_make_it_hang(text):
    began = process_time()
    inert(text, 1_000)
    assert process_time() - began < 2


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("a cd", 3, "a…"), ("", 3, "")],
)
def test_shortened(text, limit, cut):
    assert shortened(text, limit) == cut


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [("abcdef", 6, "abcdef"), ("abcdefg", 6, "abc…fg"), ("abcdefg", 5, "ab…fg"), ("abc", 2, "a…"), ("abc", 1, "…")],
)
def test_shortened_in_the_middle(text, limit, cut):
    assert shortened_middle(text, limit) == cut


def test_plain_ascii_is_what_every_system_takes():
    assert plain_ascii("Zürich\n🔥 ok~") == "Z?rich?? ok~"
