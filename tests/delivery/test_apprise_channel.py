"""The channel against targets on real sockets: what each answer of a target is taken for, and that nothing leaks."""

from __future__ import annotations

import io
import logging
import threading

import pytest
from e2e.processes import free_port

from exporter import apprise_channel
from exporter.core.delivery import Outcome, OutcomeClass

from .targets import PAGE, Answer

SLACK = "slack://T12345678/B12345678/abcdefghijklmnopqrstuvwx"
BOT = "slack://xoxb-1234-1234-abcdefghijklmnop/#ops"


def send(url: str) -> Outcome:
    return apprise_channel.send(url, title="FAILED: nightly in prod (Finance)", body="run id: r1\nevent id: r1:FAILED")


def bot_answer(error: str) -> Answer:
    return Answer(body=b'{"ok": false, "error": "%s"}' % error.encode())


ANSWERS = [
    (Answer(), OutcomeClass.SENT, "", "the answer of success"),
    (Answer(body=b"ok\n"), OutcomeClass.AMBIGUOUS, "HTTP 200, but not the answer of this service", "not exactly that"),
    (PAGE, OutcomeClass.AMBIGUOUS, "answered with a web page", "a proxy's page, not Slack's answer"),
    (Answer(400, b"invalid_payload"), OutcomeClass.POISON, "HTTP 400 (invalid_payload)", "this message"),
    (Answer(413, b""), OutcomeClass.POISON, "HTTP 413", "too large"),
    (Answer(401, b"no"), OutcomeClass.TARGET_BROKEN, "HTTP 401", "a person must act"),
    (Answer(403, b"invalid_token"), OutcomeClass.TARGET_BROKEN, "HTTP 403 (invalid_token)", "a person must act"),
    (Answer(404, b"no_service"), OutcomeClass.TARGET_BROKEN, "HTTP 404 (no_service)", "the hook was removed"),
    (Answer(410, b"channel_is_archived"), OutcomeClass.TARGET_BROKEN, "HTTP 410 (channel_is_archived)", "archived"),
    (Answer(429, b"", {"Retry-After": "30"}), OutcomeClass.THROTTLED, "HTTP 429", "slow down"),
    (Answer(500, b"rollup_error"), OutcomeClass.SERVER_ERROR, "HTTP 500 (rollup_error)", "perhaps accepted"),
    (Answer(503, b""), OutcomeClass.SERVER_ERROR, "HTTP 503", "an outage"),
    (Answer(drop=True), OutcomeClass.AMBIGUOUS, "the connection broke off", "perhaps accepted"),
]


@pytest.mark.parametrize(("answer", "outcome", "reason", "why"), ANSWERS, ids=[row[2] or "ok" for row in ANSWERS])
def test_what_a_slack_webhook_answers_decides_the_outcome(slack, answer, outcome, reason, why):
    slack.answer = answer

    assert send(SLACK) == Outcome(outcome, reason), why
    assert len(slack.posts) == 1, "one request, whatever the answer: Apprise does not retry"
    assert slack.posts[0].path == "/services/T12345678/B12345678/abcdefghijklmnopqrstuvwx"


BOT_ANSWERS = [
    (Answer(body=b'{"ok": true}'), OutcomeClass.SENT, ""),
    (bot_answer("invalid_auth"), OutcomeClass.TARGET_BROKEN, "HTTP 200 (invalid_auth)"),
    (bot_answer("not_in_channel"), OutcomeClass.TARGET_BROKEN, "HTTP 200 (not_in_channel)"),
    (bot_answer("msg_too_long"), OutcomeClass.POISON, "HTTP 200 (msg_too_long)"),
    (bot_answer("ratelimited"), OutcomeClass.THROTTLED, "HTTP 200 (ratelimited)"),
    (bot_answer("internal_error"), OutcomeClass.SERVER_ERROR, "HTTP 200 (internal_error)"),
    (Answer(body=b"<html>OK</html>"), OutcomeClass.AMBIGUOUS, "answered with a web page"),
]


@pytest.mark.parametrize(("answer", "outcome", "reason"), BOT_ANSWERS, ids=[row[2] or "ok" for row in BOT_ANSWERS])
def test_what_slack_answers_a_bot_decides_the_outcome(slack, server_tls, answer, outcome, reason):
    slack.tls = server_tls("slack.com")
    slack.answer = answer

    assert send(BOT) == Outcome(outcome, reason)


def test_a_page_is_not_taken_for_the_success_of_a_web_hook_that_accepts_any_answer(web_hook):
    assert send(web_hook(PAGE).url) == Outcome(OutcomeClass.AMBIGUOUS, "answered with a web page")
    assert send(web_hook(Answer(204, b"")).url).outcome is OutcomeClass.SENT


def test_a_service_that_answers_after_the_usual_four_seconds_gets_one_copy(slack):
    """Apprise alone gives up after 4 s, and the message has arrived."""
    let_go = threading.Event()
    slack.answer = Answer(after=let_go)
    timer = threading.Timer(5.0, let_go.set)
    timer.start()

    assert send(SLACK).outcome is OutcomeClass.SENT
    assert len(slack.posts) == 1
    timer.join()


def test_where_nothing_was_handed_over_the_message_cannot_have_arrived(trusted, server_tls):
    assert send(f"json://127.0.0.1:{free_port()}/") == Outcome(OutcomeClass.UNAVAILABLE, "connection refused")
    assert send("json://no-such-host.invalid/") == Outcome(OutcomeClass.UNAVAILABLE, "no such host")


def test_a_web_hook_whose_certificate_is_not_trusted_gets_nothing(slack, server_tls):
    slack.tls = server_tls("elsewhere.example.com")

    assert send(SLACK) == Outcome(OutcomeClass.UNAVAILABLE, "its certificate cannot be verified")
    assert not slack.posts


MODES = ["insecure", "starttls", "ssl"]


@pytest.mark.parametrize("mode", MODES)
def test_mail_arrives_as_plain_text_with_its_line_ends(mail_server, server_tls, trusted, mode):
    tls = server_tls("localhost")
    options = {"starttls": {"starttls": tls}, "ssl": {"tls": tls}}.get(mode, {})
    server = mail_server(**options)

    assert send(server.url(mode)).outcome is OutcomeClass.SENT

    mail = server.wait_for(1)[0]
    assert mail["Subject"] == "FAILED: nightly in prod (Finance)"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines()[:2] == ["run id: r1", "event id: r1:FAILED"]


REPLIES = [
    ("at_data", "451 4.3.0 try later", OutcomeClass.UNAVAILABLE, "SMTP 451 4.3.0", "refused for now, nothing taken"),
    ("at_data", "552 5.3.4 too big", OutcomeClass.POISON, "SMTP 552 5.3.4", "this mail is refused"),
    ("at_rcpt", "550 5.1.1 no such user", OutcomeClass.TARGET_BROKEN, "SMTP 550 5.1.1", "nobody is there"),
    ("at_rcpt", "450 4.2.0 greylisted", OutcomeClass.UNAVAILABLE, "SMTP 450 4.2.0", "come again"),
]


@pytest.mark.parametrize(("at", "reply", "outcome", "reason", "why"), REPLIES, ids=[row[1] for row in REPLIES])
def test_what_a_mail_server_replies_decides_the_outcome(mail_server, at, reply, outcome, reason, why):
    server = mail_server()
    setattr(server, at, reply)

    assert send(server.url()) == Outcome(outcome, reason), why
    assert not server.mails


def test_a_mail_that_was_stored_before_the_connection_broke_may_have_arrived(mail_server):
    server = mail_server()
    server.drop = True

    assert send(server.url()) == Outcome(OutcomeClass.AMBIGUOUS, "the connection broke off")
    assert len(server.mails) == 1


def test_without_starttls_and_with_a_bad_certificate_no_mail_is_handed_over(mail_server, server_tls, trusted):
    plain = mail_server()
    elsewhere = mail_server(tls=server_tls("elsewhere.example.com"))

    assert send(plain.url("starttls")) == Outcome(OutcomeClass.UNAVAILABLE, "it does not offer STARTTLS")
    assert send(elsewhere.url("ssl")) == Outcome(OutcomeClass.UNAVAILABLE, "its certificate cannot be verified")
    assert not plain.mails
    assert not elsewhere.mails


def test_a_wrong_password_suspends_the_mailbox(mail_server, server_tls, trusted):
    server = mail_server(starttls=server_tls("localhost"), password="right")

    assert send(server.url("starttls", user="user:wrong@")).outcome is OutcomeClass.TARGET_BROKEN
    assert send(server.url("starttls", user="user:right@")).outcome is OutcomeClass.SENT


HOSTILE = "<!channel> <@U1> *b* <b>x</b> & <https://evil|x>\n#h `c` ~s~ _i_"


def test_markup_of_the_api_is_dead_in_slack_whatever_the_url_asks_for(slack):
    for url in (SLACK, f"{SLACK}?format=markdown", f"{SLACK}?format=html", f"{SLACK}?blocks=yes"):
        apprise_channel.send(url, title="FAILED: <!here>", body=HOSTILE)

    for posted in slack.posts:
        text = str(posted.raw)
        assert "<!channel>" not in text
        assert "<@U1>" not in text
        assert "&lt;!channel&gt;" in text
        assert "'mrkdwn': True" not in text


def test_markup_of_the_api_is_text_in_mail_whatever_the_url_asks_for(mail_server):
    server = mail_server()
    for url in (server.url(), server.url() + "&format=html", server.url() + "&format=markdown"):
        apprise_channel.send(url, title="FAILED: a\r\nBcc: evil@example.com", body=HOSTILE)

    for mail in server.wait_for(3):
        assert mail.get_content_type() == "text/plain"
        assert "<b>x</b>" in mail.get_content()
        assert mail["Bcc"] is None


def test_the_word_of_an_answer_cannot_come_from_the_message(web_hook):
    """The log of Apprise holds the message too, and a message may say anything."""
    target = web_hook(Answer(500, b""))

    outcome = apprise_channel.send(target.url, title="error=404.", body="x\nFailed to send: error=403.")

    assert outcome == Outcome(OutcomeClass.SERVER_ERROR, "HTTP 500")


def test_no_secret_reaches_a_log_at_any_level(slack, mail_server, server_tls):
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(1)
    try:
        slack.answer = Answer(403, b"no")
        outcome = send(SLACK)
        send(mail_server(starttls=server_tls("localhost"), password="x").url("starttls", user="user:the-password@"))
    finally:
        root.removeHandler(handler)
        root.setLevel(before)

    everything = written.getvalue() + outcome.reason
    assert "abcdefghijklmnopqrstuvwx" not in everything
    assert "B12345678" not in everything
    assert "the-password" not in everything
    assert logging.getLogger("apprise").isEnabledFor(logging.DEBUG), "or this test would prove nothing"


REFUSED = [
    ("nonsense", "is no URL that Apprise can load"),
    ("nosuchservice://x", "is no URL that Apprise can load"),
    (f"{SLACK}/#one/#two", "has more than one recipient"),
    ("mailto://example.com/?from=a@example.com&to=b@example.com,c@example.com", "has more than one recipient"),
    ("mailto://example.com/?from=a@example.com&to=b@example.com&cc=c@example.com", "has more than one recipient"),
    ("json://localhost/a, json://localhost/b", "has more than one recipient"),
    (
        "mailto://u:p@example.com/?from=a@example.com&to=oncall(at)example.com",
        "has a recipient that Apprise cannot read",
    ),
    ("tgram://123456789:AAEabcdefghijklmnopqrstuvwxyzABCDEFG/@@@/", "has a recipient that Apprise cannot read"),
    ("ntfy://!!bad/", "has a recipient that Apprise cannot read"),
    (f"{SLACK}?optional=yes", "has optional="),
    (f"{SLACK}?OPTIONAL=no", "has optional="),
]


@pytest.mark.parametrize(("url", "what"), REFUSED)
def test_what_keeps_a_target_from_being_served_is_said_without_its_url(url, what):
    found, hint = apprise_channel.problem_of(url)

    assert found.startswith(what)
    assert url not in found + hint
    assert SLACK.rpartition("/")[2] not in found + hint


GOOD = [
    SLACK,
    BOT,
    f"{SLACK}/#ops",
    "https://hooks.slack.com/services/T12345678/B12345678/abcdefghijklmnopqrstuvwx",
    "mailto://user:password@example.com/?to=b@example.com",
    "mailtos://user:password@smtp.example.com:587/?from=a@example.com&to=b@example.com",
    "json://localhost/hook",
    "discord://1234567890/abcdefghijklmnopqrstuvwxyz",
    "ntfy://topic",
    "opsgenie://apikey-1234567890",  # no recipient: those that the service itself knows
    "tgram://123456789:AAEabcdefghijklmnopqrstuvwxyzABCDEFG/",
]


@pytest.mark.parametrize("url", GOOD)
def test_a_url_with_one_recipient_is_accepted(url):
    assert apprise_channel.problem_of(url) is None
