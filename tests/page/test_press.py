"""How pages are made: once a change, apart from scrapes, compressed where that is wanted."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from exporter.web.page.sources import Around, Stories

from .accounts import large, lively


def get(service, path="/", **headers):
    return httpx.get(service.url + path, headers=headers, timeout=30)


@pytest.mark.parametrize("path", ["/", "/api/v1/status", "/?q=load"])
def test_what_a_client_has_is_not_sent_again_until_something_changes(path):
    account = lively()
    with account.served() as service:
        first = get(service, path)
        again = get(service, path, **{"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        account.publish(service)
        assert get(service, path, **{"if-none-match": first.headers["etag"]}).status_code == 200


CHANGES = [
    (lambda account, service: account.publish(service), "a poll"),
    (lambda account, service: setattr(account, "around_now", Around()), "a target, a silence"),
    (lambda account, service: setattr(account, "limits", replace(account.limits)), "a limit's work"),
    (lambda account, service: setattr(account, "reveal", False), "who asks"),
    (lambda account, service: service.readiness.store_failed("full"), "readiness"),
    (lambda account, service: service.ours.poll_failed("auth", service.now, seconds=1), "a poll that failed"),
    (lambda account, service: service.ours.follows(), "who leads"),
]


@pytest.mark.parametrize(("change", "reason"), CHANGES, ids=[reason for _, reason in CHANGES])
def test_whatever_changes_is_seen_at_once(change, reason):
    account = lively()
    with account.served() as service:
        before = get(service)
        known = {"if-none-match": before.headers["etag"]}
        assert get(service, **known).status_code == 304
        change(account, service)
        after = get(service, **known)
        assert (after.status_code, after.text == before.text) == (200, False), reason


def test_somebody_who_may_see_all_and_somebody_who_may_not_are_told_apart():
    account = lively()
    account.sources["reveals"] = lambda scope: (b"x-let-me", b"in") in scope["headers"]
    with account.served() as service:
        for _ in range(2):
            assert "grace" in get(service, **{"x-let-me": "in"}).text
            assert "grace" not in get(service).text


def test_it_is_compressed_for_whom_that_suits():
    with large(2_000).served() as service:
        zipped = get(service, **{"accept-encoding": "gzip"})
        plain = get(service, **{"accept-encoding": "identity"})
        assert zipped.headers["content-encoding"] == "gzip"
        assert int(zipped.headers["content-length"]) < 300_000
        assert "content-encoding" not in plain.headers
        assert zipped.text == plain.text


def test_files_of_the_page_are_kept_by_their_version():
    with lively().served() as service:
        for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
            url = next(part for part in get(service).text.split('"') if part.startswith(f"/{name}?v="))
            got = get(service, url)
            assert got.headers["content-type"].startswith(kind)
            assert "immutable" in got.headers["cache-control"]
            assert get(service, f"/{name}").headers["cache-control"] == "no-store", "not under a version it has not"


def test_a_scrape_does_not_wait_for_a_page_that_hangs():
    """`product.md`: a scrape never waits; here the page waits for a record that does not answer."""
    asked, let_go = threading.Event(), threading.Event()

    def stuck():
        asked.set()
        let_go.wait(30)
        return Around()

    account = lively()
    account.sources["around"] = stuck
    with account.served() as service, ThreadPoolExecutor() as pool:
        page = pool.submit(get, service)
        assert asked.wait(10)
        for path in ("/metrics", "/-/healthy", "/-/ready"):
            assert httpx.get(service.url + path, timeout=5).status_code == 200
        assert not page.done()
        let_go.set()
        assert page.result(30).status_code == 200


def test_a_page_that_cannot_be_made_is_an_error_and_the_next_one_is_made():
    answers = iter([RuntimeError("a bug"), Stories()])

    def stories(_):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    account = lively()
    account.sources["stories"] = stories
    with account.served() as service:
        assert get(service).status_code == 500
        assert get(service).status_code == 200
