"""The page as Debian's Chromium shows it: nothing here looks at HTML, all of it at what a person would see and do."""

from dataclasses import replace
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from web.serving import NOON

from exporter.core.silences import Silence
from exporter.store.outbox_views import TargetStanding
from exporter.web.page.sources import Around

from .accounts import FINANCE, SALES, Account, going, key, large, lively, pipeline

pytestmark = pytest.mark.chromium

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
EVIL = "<img src=x onerror=alert(1)>"
NOBODY_ANSWERS = ["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE"]


def hurried(service):
    """Let open pages ask every two seconds."""
    service.ours.config_loaded(NOON, poll_interval=timedelta(seconds=1))
    return service


def rows(page):
    return page.locator("table.pipelines tbody tr")


def serious(page):
    """What axe-core finds serious or critical."""
    found = Axe().run(page).response["violations"]
    return [
        (one["id"], [node["html"][:120] for node in one["nodes"]][:3])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("number", [0, 20, 2_000])
def test_however_many_pipelines_there_are_all_are_shown(visit, number):
    with large(number).served() as service:
        page = visit(service.url)
        expect(rows(page)).to_have_count(number)
        expect(page.locator(".tiles li").last).to_have_text(f"{number:,} pipelines")
        words = page.locator("main").inner_text()
    assert ("There are no pipelines yet" in words) == (number == 0)
    assert (
        page.title()
        == {0: "Maia Exporter", 20: "2 broken · Maia Exporter", 2_000: "173 broken · Maia Exporter"}[number]
    )


def test_the_filter_works_as_one_types_and_is_kept_in_the_url(visit):
    with large(20).served() as service:
        page = visit(service.url)
        page.evaluate("window.here = true")
        page.get_by_role("searchbox").fill("stage")
        expect(page.locator(".found")).to_contain_text(" of 20 pipelines")
        assert 0 < rows(page).count() < 20
        assert all("stage/" in name for name in rows(page).locator("th").all_inner_texts())
        page.get_by_label("Environment").select_option("prod")
        page.wait_for_url("**/?q=stage&environment=prod")
        expect(page.locator("table.pipelines tbody")).not_to_contain_text("· test")
        shown = rows(page).locator("th").all_inner_texts()
        assert page.evaluate("window.here"), "nothing was loaded anew"
        again = visit(page.url)
        assert rows(again).locator("th").all_inner_texts() == shown
        expect(again.get_by_role("searchbox")).to_have_value("stage")
        again.get_by_role("link", name="show all").click()
        expect(rows(again)).to_have_count(20)


def test_a_number_of_the_summary_is_a_filter(visit):
    with lively().served() as service:
        page = visit(service.url)
        page.get_by_role("link", name="2 broken").click()
        page.wait_for_url("**/?status=broken")
        expect(rows(page)).to_have_count(2)
        expect(page.locator("#status")).to_have_value("broken")


def test_the_filter_works_without_scripts(visit):
    with lively().served() as service:
        page = visit(service.url, java_script_enabled=False)
        page.get_by_role("searchbox").fill("slow")
        page.get_by_role("button", name="Filter").click()
        expect(rows(page)).to_have_count(1)
        assert "?q=slow" in page.url


def test_what_happens_is_shown_without_a_reload(visit):
    account = lively()
    with hurried(account.served()) as service:
        page = visit(service.url)
        untouched = rows(page).filter(has_text="new.orch.yaml")
        untouched.evaluate("row => { row.mark = true; }")
        page.get_by_role("searchbox").focus()
        expect(page.locator("h2", has_text="Running now")).to_have_text("Running now 2")
        name = key("finance/late.orch.yaml")
        account.state = replace(
            account.state,
            pipelines={**account.state.pipelines, name: pipeline(name, "SUCCESS", "FAILED")},
            unfinished={},
        )
        account.publish(service)
        expect(rows(page)).to_have_count(6, timeout=15_000)
        expect(page.locator(".endings").first).to_contain_text("finance/late.orch.yaml")
        expect(page.get_by_text("Nothing is running")).to_be_visible()
        expect(page).to_have_title("3 broken · Maia Exporter")
        assert untouched.evaluate("row => row.mark"), "what has not changed stays"
        expect(page.get_by_role("searchbox")).to_be_focused()


def test_what_is_open_and_where_one_is_stays_so_over_an_update(visit):
    account = lively()
    with hurried(account.served()) as service:
        page = visit(service.url)
        page.locator("summary", has_text="earlier").click()
        link = page.get_by_role("link", name="models/train.orch.yaml")
        link.focus()
        account.message = "another message"
        account.state = replace(account.state, unfinished={})
        account.publish(service)
        expect(page.get_by_text("Nothing is running")).to_be_visible(timeout=15_000)
        expect(page.locator("details[data-kept=earlier]")).to_have_attribute("open", "")
        expect(link).to_be_focused()


def test_bars_and_ages_move_by_themselves(visit):
    load = key()
    account = Account(pipeline(load, "SUCCESS"), runs=[going("r", load, since=timedelta(minutes=59, seconds=58))])
    account.coverage = lively().coverage
    with account.served() as service:
        page = visit(service.url)
        bar = page.get_by_role("progressbar")
        expect(bar).to_have_class("near", timeout=10_000)
        expect(page.locator(".clock")).to_contain_text("1 h of 2 h")
        assert 3_590 <= bar.evaluate("bar => bar.value") < 3_620


def test_it_says_when_it_cannot_update_and_when_it_can_again(visit):
    account = lively()
    with hurried(account.served()) as service:
        page = visit(service.url, noise=NOBODY_ANSWERS)
        expect(page.get_by_text("Cannot update")).not_to_be_visible()
        port = service.server.port
    expect(page.get_by_text("Cannot update: the service does not answer. What you see is")).to_be_visible(
        timeout=15_000
    )
    expect(rows(page)).to_have_count(5)
    with hurried(account.served(port=port)):
        expect(page.get_by_text("Cannot update")).not_to_be_visible(timeout=15_000)


def hostile():
    """Text that wants to be markup, wherever text of others is shown."""
    evil = key(f"finance/{EVIL}.orch.yaml", environment=EVIL)
    plain = key(f"{EVIL}{'x' * 300}")
    account = Account(
        pipeline(evil, "SUCCESS", "FAILED"),
        pipeline(plain, "CANCELLED", "SUCCESS"),
        runs=[going(EVIL, evil, since=timedelta(minutes=5), user=EVIL)],
        rules=[replace(lively().coverage.rules[0], name=EVIL)],
        message=f"{EVIL} \u202e{'m' * 900} javascript:alert(1)",
    )
    account.state = replace(account.state, project_names={FINANCE: EVIL, SALES: f"{EVIL} two"})
    account.around_now = Around(
        targets={EVIL: TargetStanding(suspended=True, reason=EVIL, failing_since=NOON)},
        silences=(
            Silence(
                silence_id="s", starts_at=NOON, ends_at=NOON + timedelta(hours=1),
                project=EVIL, environment=EVIL, pipeline=EVIL, author=EVIL, comment=EVIL,
            ),
        ),
        trouble=EVIL,
    )  # fmt: skip
    return account


@pytest.mark.parametrize("screen", [{}, PHONE], ids=["desk", "phone"])
def test_what_others_have_written_is_text_and_nothing_else(visit, screen):
    with hostile().served() as service:
        page = visit(f"{service.url}/?q={EVIL}", **screen)
        expect(page.locator("img")).to_have_count(0)
        expect(rows(page).first).to_contain_text(f"finance/{EVIL}.orch.yaml")
        expect(page.locator(".message").first).to_contain_text(EVIL)
        expect(page.get_by_label("Project")).to_contain_text(EVIL)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert serious(page) == []


LOOKS = [
    ({"color_scheme": "light"}, "light"),
    ({"color_scheme": "dark"}, "dark"),
    ({**PHONE, "color_scheme": "light"}, "phone"),
    ({**PHONE, "color_scheme": "dark"}, "phone, dark"),
]


@pytest.mark.parametrize(("screen", "name"), LOOKS, ids=[name for _, name in LOOKS])
def test_it_can_be_read_by_everybody_on_every_screen(visit, screen, name):
    with lively().served() as service:
        page = visit(service.url, **screen)
        for summary in page.locator("summary").all():
            summary.click()
        assert serious(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it can be scrolled sideways"
        light = page.evaluate(
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every(part => part > 200)"
        )
        assert light == ("dark" not in name)


@pytest.mark.parametrize("kind", ["empty", "hidden", "standby"])
def test_the_other_faces_of_the_page_can_be_read_by_everybody_too(visit, kind):
    account = Account() if kind == "empty" else lively(reveal=kind != "hidden")
    with account.served() as service:
        if kind == "standby":
            service.ours.follows()
        page = visit(service.url, **PHONE)
        assert serious(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        expect(page.get_by_text("This replica is standing by")).to_have_count(1 if kind == "standby" else 0)


def test_all_of_it_can_be_reached_by_keyboard(visit):
    with lively().served() as service:
        page = visit(service.url)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the pipelines")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Pipelines", exact=True)).to_be_focused()
        page.keyboard.press("/")
        page.keyboard.type("slow")
        expect(rows(page)).to_have_count(1)
        for name in ("project", "environment", "status"):
            page.keyboard.press("Tab")
            expect(page.locator(f"#{name}")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="show all")).to_be_focused()
        page.keyboard.press("Enter")
        expect(rows(page)).to_have_count(5)
        summary = page.locator("summary", has_text="The config in force")
        for _ in range(60):
            page.keyboard.press("Tab")
            if summary.evaluate("one => one === document.activeElement"):
                break
        page.keyboard.press("Enter")
        expect(page.locator(".config pre")).to_be_visible()


def test_it_works_below_a_path_of_a_proxy(visit):
    account = lively()
    with hurried(account.served(external_url="https://ops.example.org/maia")) as service:
        page = visit(f"{service.url}/maia/")
        page.get_by_role("searchbox").fill("slow")
        page.wait_for_url("**/maia/?q=slow")
        expect(rows(page)).to_have_count(1)
        account.state = replace(account.state, unfinished={})
        account.publish(service)
        expect(page.get_by_text("Nothing is running here")).to_be_visible(timeout=15_000)
        page.get_by_role("link", name="show all").click()
        page.wait_for_url("**/maia/")
        expect(rows(page)).to_have_count(5)


def test_a_replica_that_takes_over_shows_all_without_a_reload_by_hand(visit):
    with hurried(lively().served()) as service:
        service.ours.follows()
        page = visit(service.url)
        expect(page.get_by_text("This replica is standing by")).to_be_visible()
        service.ours.leads()
        expect(rows(page)).to_have_count(5, timeout=15_000)
