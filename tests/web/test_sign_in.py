"""Passwords: who gets in, what it costs, and who is held up by whom."""

import asyncio
import base64
import contextlib
import threading

import bcrypt
import httpx
import pytest

from exporter.web.entrance.passwords import Passwords, credentials_in
from exporter.web.entrance.tries import Allowance, Bucket, Tries, neighbourhood
from exporter.web.page.sources import PageSources
from exporter.web.revealing import SIGNED_IN

from .certificates import CLIENTS, PASSWORD, TLS, client_certificate, hashed, trusting, users, written
from .serving import SCRAPE, Service, answer

GENEROUS = Allowance(tries=1_000_000, waiting=1_000_000)
ALICE = ("alice", PASSWORD)


def basic(user, password):
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode())


def get(service, path="/metrics", auth=None, **headers):
    return httpx.get(service.url + path, auth=auth, headers=headers, verify=False)  # loads no authorities


class Counting:
    """bcrypt that counts, and waits where a test wants it to."""

    def __init__(self):
        self.checks = 0
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, password, hashed):
        self.checks += 1
        assert self.go_on.wait(20)
        return bcrypt.checkpw(password, hashed)


@pytest.fixture
def counting():
    counting = Counting()
    yield counting
    counting.go_on.set()


@pytest.fixture
def signed(tmp_path, counting):
    with Service(web_config=written(tmp_path, users()), allowance=GENEROUS, check=counting) as service:
        yield service


PATHS = ["/metrics", "/", "/api/v1/status", "/no-such-page"]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_served_without_the_right_password(signed, path):
    for auth in (None, ("alice", "wrong"), ("mallory", PASSWORD), ("alice", ""), ("", PASSWORD)):
        got = get(signed, path, auth)
        assert (got.status_code, got.text) == (401, "Unauthorized\n"), auth
        assert got.headers["www-authenticate"] == "Basic"
    assert get(signed, path, ALICE).status_code != 401


HEALTHY = ["/-/healthy", "/-/ready", "/maia/-/healthy", "/maia/-/ready"]


def test_the_health_endpoints_need_no_password_and_nothing_near_them_goes_without(tmp_path):
    service = Service(web_config=written(tmp_path, users()), external_url="https://x.example/maia", allowance=GENEROUS)
    with service:
        for path in HEALTHY:
            assert get(service, path).status_code in (200, 503), path
        for path in ("/-/", "/-/healthy/", "/-/healthy/metrics", "//-/healthy", "/x/-/ready", "/maia/metrics"):
            assert get(service, path).status_code == 401, path


NOT_BASIC = [
    (b"", "empty"),
    (b"Basic", "without credentials"),
    (b"Bearer " + base64.b64encode(b"alice:x"), "another scheme"),
    (b"Basic !!!!", "no base64"),
    (b"Basic " + base64.b64encode(b"alice"), "no colon"),
]


@pytest.mark.parametrize(("header", "reason"), NOT_BASIC)
def test_a_header_that_is_no_basic_authentication(header, reason, signed):
    assert credentials_in(header) is None, reason
    assert get(signed, Authorization=header.decode()).status_code == 401, reason


def test_the_scheme_may_be_written_in_any_case_and_a_password_have_colons(tmp_path):
    with Service(web_config=written(tmp_path, users(alice="a:b:ü"))) as service:
        header = base64.b64encode("alice:a:b:ü".encode()).decode()
        assert get(service, Authorization=f"bAsIc {header}").status_code == 200


def test_two_authorization_headers_are_none(signed):
    lines = b"".join(b"Authorization: %b\r\n" % basic("alice", word) for word in (PASSWORD, "x"))
    with signed.connected(SCRAPE[:-2] + lines + b"\r\n") as client:
        assert answer(client)[0] == "HTTP/1.1 401 Unauthorized"


def test_bcrypt_reads_72_bytes_whoever_made_the_hash(tmp_path):
    word = "x" * 72
    with Service(web_config=written(tmp_path, users(alice=word)), allowance=GENEROUS) as service:
        assert get(service, auth=("alice", word + "and more")).status_code == 200
        assert get(service, auth=("alice", word[:-1])).status_code == 401


HEADERS = "http_server_config: {headers: {X-Frame-Options: deny, X-Content-Type-Options: nosniff}}\n"


def test_the_headers_of_the_file_are_on_every_answer_once(tmp_path):
    with Service(web_config=written(tmp_path, HEADERS, users())) as service:
        for path, auth in [("/metrics", ALICE), ("/metrics", ALICE), ("/", ALICE), ("/", None), ("/-/ready", None)]:
            headers = get(service, path, auth).headers
            assert headers.get_list("x-frame-options") == ["deny"], path
            assert headers.get_list("x-content-type-options") == ["nosniff"], path


def test_a_policy_of_the_file_takes_the_place_of_the_pages_own(tmp_path):
    policy = "http_server_config: {headers: {Content-Security-Policy: default-src 'self'}}\n"
    with Service(web_config=written(tmp_path, policy)) as service:
        assert get(service, "/").headers.get_list("content-security-policy") == ["default-src 'self'"]


SEEN = [
    ("", None, False, "nobody has to sign in"),
    (TLS, None, False, "an encrypted stranger"),
    (users(), None, True, "a password"),
    (TLS + users(), None, True, "a password over TLS"),
    (CLIENTS, client_certificate(), True, "a certificate"),
]


@pytest.mark.parametrize(("config", "certificate", "signed_in", "reason"), SEEN, ids=[reason for *_, reason in SEEN])
def test_the_page_is_told_who_has_signed_in(config, certificate, signed_in, reason, tmp_path):
    asked = []
    page = PageSources(reveals=lambda scope: bool(asked.append(scope.get(SIGNED_IN))))
    with (
        Service(web_config=written(tmp_path, config), page=page) as service,
        httpx.Client(verify=trusting(certificate), auth=ALICE) as client,
    ):
        for _ in range(2):
            assert client.get(service.url).status_code == 200
    assert asked == [signed_in, signed_in]


# What it costs


def test_a_right_password_costs_bcrypt_once_and_then_takes_the_short_way(signed, counting):
    with httpx.Client(base_url=signed.url, auth=ALICE) as client:
        for path in ("/metrics", "/metrics", "/", "/metrics", "/api/v1/status"):
            assert client.get(path).status_code == 200
    assert counting.checks == 1


def test_a_known_password_takes_the_short_way_and_no_other_does(tmp_path):
    with Service(web_config=written(tmp_path, users())) as service:
        shortcut = service.app.shortcuts[b"/metrics"]
        headers = [(b"authorization", basic(*ALICE))]
        assert shortcut(headers) is None
        assert get(service, auth=ALICE).status_code == 200
        assert b"maia" in shortcut(headers)[1]
        assert shortcut([]) is None
        assert shortcut([(b"authorization", basic("alice", "wrong"))]) is None
        assert shortcut(headers * 2) is None


def test_a_user_we_do_not_know_costs_as_much_as_one_we_know(signed, counting):
    assert get(signed, auth=("mallory", PASSWORD)).status_code == 401
    assert get(signed, auth=("alice", "wrong")).status_code == 401
    assert counting.checks == 2


def test_a_wrong_password_is_checked_every_time_it_comes(signed, counting):
    for _ in range(3):
        assert get(signed, auth=("alice", "wrong")).status_code == 401
    assert counting.checks == 3


def test_a_changed_password_counts_at_once(tmp_path):
    path = written(tmp_path, users(alice="old", bob="bob's"))
    with Service(web_config=path, allowance=GENEROUS) as service:
        assert get(service, auth=("alice", "old")).status_code == 200
        assert get(service, auth=("bob", "bob's")).status_code == 200
        path.write_text(users(alice="new", carol="carol's"))
        assert get(service, auth=("alice", "old")).status_code == 401
        assert get(service, auth=("bob", "bob's")).status_code == 401
        assert get(service, auth=("alice", "new")).status_code == 200
        assert get(service, auth=("carol", "carol's")).status_code == 200


def test_sign_in_switched_on_counts_at_once_and_off_needs_a_restart(tmp_path, caplog):
    path = written(tmp_path, HEADERS)
    with Service(web_config=path) as service:
        assert get(service).status_code == 200
        path.write_text(users())
        assert get(service).status_code == 401
        path.write_text("")
        assert get(service).status_code == 401
        assert "sign-in is to be switched off, which needs a restart" in caplog.records[-1].problem


def test_what_is_remembered_is_bounded_and_holds_no_password():
    passwords, known = Passwords(), {b"alice": hashed("x" * 72).encode()}

    async def sign_in(number):
        assert await passwords.are_right(basic("alice", "x" * 72 + str(number)), known)

    for number in range(105):
        asyncio.run(sign_in(number))
    assert len(passwords._right) == 100
    assert b"xxx" not in repr(passwords._right).encode()
    assert not passwords.remembers(basic("alice", "x" * 72 + "0"), known)
    assert passwords.remembers(basic("alice", "x" * 72 + "104"), known)


# Who is held up by whom


def test_a_storm_of_wrong_passwords_holds_up_nobody_who_is_known(signed, counting):
    with httpx.Client(base_url=signed.url, auth=ALICE) as client, contextlib.ExitStack() as stack:
        assert client.get("/metrics").status_code == 200
        counting.go_on.clear()
        wrong = SCRAPE[:-2] + b"Authorization: " + basic("alice", "wrong") + b"\r\n\r\n"
        guessers = [stack.enter_context(signed.connected(wrong)) for _ in range(50)]
        for _ in range(5):
            assert client.get("/metrics", timeout=2).status_code == 200
            assert client.get("/", timeout=2).status_code == 200
        assert counting.checks == 2  # one of them, and no more at a time
        counting.go_on.set()
        assert {answer(guesser)[0] for guesser in guessers} == {"HTTP/1.1 401 Unauthorized"}


def test_whoever_guesses_too_often_has_to_wait_and_a_known_password_does_not(tmp_path, counting, caplog):
    allowance = Allowance(tries=3, every=3_600)
    with Service(web_config=written(tmp_path, users()), allowance=allowance, check=counting) as service:
        assert get(service, auth=ALICE).status_code == 200
        assert [get(service, auth=("alice", f"{n}")).status_code for n in range(5)] == [401, 401, 401, 429, 429]
        refused = get(service, auth=("alice", "other"))
        assert 0 < int(refused.headers["retry-after"]) <= 3_600
        assert counting.checks == 4
        assert get(service, auth=ALICE).status_code == 200
        assert get(service).status_code == 401  # asking for the password costs nothing
    assert [record.client for record in caplog.records if record.name.startswith("exporter")] == ["127.0.0.1"] * 3


def test_right_passwords_are_no_guesses(tmp_path):
    names = {f"user{number}": f"{number}" for number in range(6)}
    service = Service(web_config=written(tmp_path, users(**names)), allowance=Allowance(tries=1, every=3_600))
    with service:
        assert {get(service, auth=auth).status_code for auth in names.items()} == {200}


def test_only_so_many_wait_at_once(tmp_path, counting):
    allowance = Allowance(tries=1_000, waiting=3)
    wrong = SCRAPE[:-2] + b"Authorization: " + basic("alice", "wrong") + b"\r\n\r\n"
    counting.go_on.clear()
    with (
        Service(web_config=written(tmp_path, users()), allowance=allowance, check=counting) as service,
        contextlib.ExitStack() as stack,
    ):
        waiting = [stack.enter_context(service.connected(wrong)) for _ in range(3)]
        assert get(service, "/-/healthy").status_code == 200
        refused = get(service, auth=("alice", "wrong"))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        counting.go_on.set()
        assert {answer(client)[0] for client in waiting} == {"HTTP/1.1 401 Unauthorized"}


def test_the_same_right_password_from_many_at_once_is_checked_once(signed, counting):
    counting.go_on.clear()
    right = SCRAPE[:-2] + b"Authorization: " + basic(*ALICE) + b"\r\n\r\n"
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(signed.connected(right)) for _ in range(5)]
        assert get(signed, "/-/healthy").status_code == 200
        counting.go_on.set()
        assert {answer(client)[0] for client in clients} == {"HTTP/1.1 200 OK"}
    assert counting.checks == 1


def test_a_check_that_takes_for_ever_does_not_hold_up_the_end(signed, counting):
    counting.go_on.clear()
    right = SCRAPE[:-2] + b"Authorization: " + basic(*ALICE) + b"\r\n\r\n"
    with signed.connected(right):
        assert get(signed, "/-/healthy").status_code == 200
        signed.server.stop(timeout=2)
        assert not signed.server.alive


# Buckets


def test_a_bucket_fills_up_with_time_and_not_over_its_rim():
    bucket = Bucket(size=2, every=10, now=0)
    assert [bucket.take(0), bucket.take(0)] == [0, 0]
    assert bucket.take(0) == pytest.approx(10)
    assert bucket.take(4) == pytest.approx(6)
    assert bucket.take(10) == 0
    assert [bucket.take(1_000) for _ in range(3)] == [0, 0, pytest.approx(10)]


ADDRESSES = [
    ("192.0.2.1", "192.0.2.1", "an IPv4 address"),
    ("::ffff:192.0.2.1", "192.0.2.1", "the same on a socket for both"),
    ("2001:db8::1", "2001:db8::/64", "a host with a network of its own"),
    ("fe80::1%eth0", "fe80::/64", "a local one"),
    ("", "", "nobody knows"),
]


@pytest.mark.parametrize(("address", "counted_as", "reason"), ADDRESSES)
def test_who_counts_as_one(address, counted_as, reason):
    assert neighbourhood(address) == counted_as, reason


def test_one_address_does_not_use_up_anothers_tries_and_few_are_remembered():
    tries = Tries(Allowance(tries=1, every=10, addresses=2))
    for address in ("a", "b"):
        assert tries.begin(address, 0) == 0
        tries.end(address, 0, good=False)
        assert tries.begin(address, 0) > 0
    assert tries.begin("c", 0) == 0
    assert len(tries._buckets) == 2


# The limit of the file


def test_a_limit_on_requests_is_for_all_but_the_health_endpoints(tmp_path):
    with Service(web_config=written(tmp_path, "rate_limit: {interval: 1h, burst: 2}\n")) as service:
        assert [get(service).status_code for _ in range(3)] == [200, 200, 429]
        assert int(get(service).headers["retry-after"]) > 3_000
        assert get(service, "/-/healthy").status_code == 200
