"""One browser a worker, and visits of it that notice what must never happen."""

import contextlib
from urllib.parse import urlsplit

import pytest

from .browser import browsing


@pytest.fixture(scope="session")
def browser():
    with browsing() as found:
        yield found


@pytest.fixture
def visit(browser):
    """Opens a page; at the end nothing may have gone wrong in it, and it may have asked nobody but its service."""
    with contextlib.ExitStack() as stack:

        def open_page(url, *, noise=(), **context):
            made = stack.enter_context(contextlib.closing(browser.new_context(**context)))
            page = made.new_page()
            wrong = []
            page.on("console", lambda said: said.type in ("error", "warning") and wrong.append(said.text))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
            host = urlsplit(url).netloc
            page.on("request", lambda asked: urlsplit(asked.url).netloc == host or wrong.append(asked.url))
            stack.callback(lambda: _assert_nothing(wrong, noise))
            page.goto(url)
            return page

        yield open_page


def _assert_nothing(wrong, noise):
    assert [text for text in wrong if not any(word in text for word in noise)] == []
