"""HTTPS on a real socket: who gets in, with which version, and what changes while we serve."""

import contextlib
import logging
import socket
import ssl
import threading

import httpx
import pytest
from e2e.processes import until

from exporter.cli import probe
from exporter.web.connections import Patience

from .certificates import (
    CLIENTS,
    TLS,
    client_certificate,
    server_certificate,
    trusting,
    users,
    write_certificate,
    written,
)
from .serving import SCRAPE, Service, all_until_closed, answer

IMPATIENT = {"request": 0.3, "answer": 0.6, "idle": 0.6, "look_every": 0.05}
REFUSED = (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)


def scrape(service, context):
    with httpx.Client(verify=context, timeout=5) as client:
        return client.get(f"{service.url}/metrics")


@contextlib.contextmanager
def secured(service, context):
    """A connection whose handshake is done."""
    with service.connected() as client, context.wrap_socket(client, server_hostname="localhost") as secure:
        yield secure


VERSIONS = [
    ("", ssl.TLSVersion.TLSv1_2, True, "the oldest that is good enough"),
    ("", ssl.TLSVersion.TLSv1_3, True, "the newest"),
    ("", ssl.TLSVersion.TLSv1_1, False, "an old one"),
    (", min_version: TLS13", ssl.TLSVersion.TLSv1_2, False, "not new enough"),
    (", min_version: TLS13", ssl.TLSVersion.TLSv1_3, True, "new enough"),
    (", max_version: TLS12", ssl.TLSVersion.TLSv1_3, False, "too new"),
]


@pytest.mark.parametrize(("option", "version", "served", "reason"), VERSIONS)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")  # that is why
def test_a_version_is_spoken_or_not(option, version, served, reason, tmp_path):
    context = trusting(minimum_version=version, maximum_version=version)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # the client would take anything
    with Service(web_config=written(tmp_path, TLS.replace("}", option + "}"))) as service:
        if served:
            assert scrape(service, context).status_code == 200, reason
        else:
            with pytest.raises(REFUSED):
                scrape(service, context)


CLIENT_CERTIFICATES = [
    ("", client_certificate(), True, "from the authority that we trust"),
    ("", None, False, "no certificate"),
    ("", client_certificate(by="theirs"), False, "from another authority"),
    ("client_allowed_sans: [prometheus]", client_certificate(), True, "the name that is allowed"),
    ("client_allowed_sans: [grafana]", client_certificate(), False, "another name"),
    ("client_allowed_sans: ['::1']", client_certificate("::1"), True, "an IP address as Go writes it"),
    ("client_allowed_sans: [a@example.org]", client_certificate("a@example.org"), True, "a mail address"),
]


@pytest.mark.parametrize(("option", "client", "served", "reason"), CLIENT_CERTIFICATES)
@pytest.mark.parametrize("version", ["TLS12", "TLS13"])
def test_a_client_gets_in_by_its_certificate(option, client, served, reason, version, tmp_path):
    options = f", max_version: {version}" + (f", {option}" if option else "")
    with Service(web_config=written(tmp_path, CLIENTS.replace("}", options + "}"))) as service:
        if served:
            assert scrape(service, trusting(client)).status_code == 200, reason
        else:
            with pytest.raises(REFUSED):
                scrape(service, trusting(client))
            assert service.server._server.server_state.total_requests == 0, reason


REASONS = [
    ("", None, "peer did not return a certificate"),
    ("", client_certificate(by="theirs"), "unable to get local issuer certificate"),
    (", client_allowed_sans: [grafana]", client_certificate(), "no name of its certificate is among client_allowed_s"),
]


@pytest.mark.parametrize(("option", "client", "reason"), REASONS)
def test_why_a_client_does_not_get_in_is_logged(option, client, reason, tmp_path, caplog):
    config = written(tmp_path, CLIENTS.replace("}", option + "}"))
    with Service(web_config=config) as service, pytest.raises(REFUSED):
        scrape(service, trusting(client))
    (told,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert told.reason.startswith(reason)
    assert told.client == "127.0.0.1"


def test_the_probe_of_the_image_finds_it_healthy_and_fills_no_log(tmp_path, caplog):
    with Service(web_config=written(tmp_path, TLS + users())) as service:
        assert probe.problem("127.0.0.1", service.server.port) == ""
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_the_suite_of_tls_12_is_one_of_those_that_the_file_names(tmp_path):
    suites = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    config = TLS.replace("}", f", cipher_suites: [{suites}], max_version: TLS12}}")
    with Service(web_config=written(tmp_path, config)) as service:
        with secured(service, trusting()) as client:
            assert client.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
        context = trusting()
        context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
        with pytest.raises(REFUSED):
            scrape(service, context)


@pytest.mark.parametrize(("flag", "suite"), [("true", "AES256-GCM-SHA384"), ("false", "AES128-GCM-SHA256")])
def test_our_order_of_suites_goes_first_or_the_clients(flag, suite, tmp_path):
    suites = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    options = f", cipher_suites: [{suites}], prefer_server_cipher_suites: {flag}, max_version: TLS12}}"
    context = trusting()
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
    with (
        Service(web_config=written(tmp_path, TLS.replace("}", options))) as service,
        secured(service, context) as client,
    ):
        assert client.cipher()[0] == f"ECDHE-ECDSA-{suite}"


def test_who_asks_for_http_2_gets_1_1(tmp_path):
    context = trusting()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with Service(web_config=written(tmp_path, TLS)) as service, secured(service, context) as client:
        assert client.selected_alpn_protocol() == "http/1.1"


def test_plain_http_is_not_served_on_the_port(tmp_path):
    with Service(web_config=written(tmp_path, TLS)) as service, service.connected(SCRAPE) as client:
        assert b"maia" not in all_until_closed(client)


# Rotation


def shown_name(context, service):
    """The name in the certificate that a new connection is shown."""
    with secured(service, context) as client:
        return dict(field for (field,) in client.getpeercert()["subject"])["organizationName"]


def test_a_new_certificate_is_shown_to_the_next_connection(tmp_path):
    with Service(web_config=written(tmp_path, TLS)) as service, secured(service, trusting()) as old:
        assert shown_name(trusting(), service) == "first"
        write_certificate(tmp_path, server_certificate("second"))
        assert shown_name(trusting(), service) == "second"
        old.sendall(SCRAPE)
        assert answer(old)[0] == "HTTP/1.1 200 OK"


def test_certificates_rotate_and_no_scrape_fails(tmp_path):
    """Half-written pairs, too: key and certificate are written one after the other, in place."""
    failed, stop = [], threading.Event()
    with Service(web_config=written(tmp_path, TLS)) as service:

        def scrape_on_and_on(keep):
            with httpx.Client(verify=trusting(), timeout=5) as client:
                while not stop.is_set():
                    try:
                        status = (client if keep else httpx).get(
                            f"{service.url}/metrics", **({} if keep else {"verify": trusting()})
                        )
                        assert status.status_code == 200
                    except (AssertionError, httpx.HTTPError) as error:
                        failed.append(error)

        scrapers = [threading.Thread(target=scrape_on_and_on, args=(keep,)) for keep in (True, False)]
        for scraper in scrapers:
            scraper.start()
        shown = set()
        for number in range(10):
            write_certificate(tmp_path, server_certificate(("first", "second")[number % 2]))
            shown.add(shown_name(trusting(), service))
        stop.set()
        for scraper in scrapers:
            scraper.join(10)
    assert not failed
    assert shown == {"first", "second"}


def test_a_new_authority_of_clients_takes_the_old_ones_place(tmp_path):
    ours, theirs = client_certificate(), client_certificate(by="theirs")
    with Service(web_config=written(tmp_path, CLIENTS)) as service:
        assert scrape(service, trusting(ours)).status_code == 200
        (tmp_path / "ca.crt").write_bytes(theirs.cert_chain_pems[0].bytes())  # no root, and trusted all the same
        assert scrape(service, trusting(theirs)).status_code == 200
        with pytest.raises(REFUSED):
            scrape(service, trusting(ours))


BROKEN = [
    ("server.key", b"", "holds no PEM private key", "a key that is being written"),
    ("server.crt", None, "No such file", "a certificate that is gone"),
    ("web.yml", b"tls_server_config: {cert_file: other.crt, key_file: server.key}", "other.crt", "a name misspelt"),
    ("web.yml", b"tls_server_config: {", "no valid YAML", "half a file"),
    ("web.yml", b"", "TLS is to be switched off, which needs a restart", "an empty file"),
    ("web.yml", TLS.encode(), "sign-in is to be switched off, which needs a restart", "certificates asked of nobody"),
]


@pytest.mark.parametrize(("name", "content", "said", "reason"), BROKEN)
def test_what_is_broken_changes_nothing_and_is_said_once(name, content, said, reason, tmp_path, caplog):
    caplog.set_level("INFO", logger="exporter")
    path = written(tmp_path, CLIENTS)
    good = (tmp_path / name).read_bytes()
    context = trusting(client_certificate())
    with Service(web_config=path) as service:
        if content is None:
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_bytes(content)
        for _ in range(3):
            assert scrape(service, context).status_code == 200, reason
        assert [said in record.problem for record in caplog.records if record.levelname == "ERROR"] == [True]
        with pytest.raises(REFUSED):
            scrape(service, trusting())
        (tmp_path / name).write_bytes(good)
        assert scrape(service, context).status_code == 200
        assert caplog.records[-1].message == "The web config has changed, and is in force."


def test_switching_tls_on_needs_a_restart(tmp_path, caplog):
    path = written(tmp_path, users())
    with Service(web_config=path) as service:
        path.write_text(TLS + users())
        assert httpx.get(f"{service.url}/metrics").status_code == 401
        assert "TLS is to be switched on, which needs a restart" in caplog.records[-1].problem


# Clients that stall


@pytest.mark.parametrize("sent", [[], [b"\x16\x03\x01\x02"]], ids=["silent", "half a hello"])
def test_a_scrape_is_answered_beside_200_handshakes_that_never_end(sent, tmp_path):
    with Service(web_config=written(tmp_path, TLS)) as service, contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(service.connected(*sent))
        assert scrape(service, trusting()).status_code == 200


STALLS = [
    ([b"GET /metrics HT"], "half a line"),
    ([SCRAPE], "idle after a scrape"),
    ([b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n"], "no body"),
]


@pytest.mark.parametrize(("sent", "reason"), STALLS)
def test_a_scrape_is_answered_beside_200_stalled_connections(sent, reason, tmp_path):
    with Service(web_config=written(tmp_path, TLS)) as service, contextlib.ExitStack() as stack:
        context = trusting()
        for _ in range(200):
            stack.enter_context(secured(service, context)).sendall(*sent)
        assert scrape(service, context).status_code == 200, reason


def test_readers_that_stall_do_not_hold_others_up_and_are_let_go(tmp_path):
    patience = Patience(**IMPATIENT | {"request": 10})
    with (
        Service(number=3_000, patience=patience, web_config=written(tmp_path, TLS)) as service,
        contextlib.ExitStack() as stack,
    ):
        context = trusting()
        requests = SCRAPE.replace(b"gzip", b"identity") * 3
        for _ in range(10):
            client = stack.enter_context(service.connected(receive_buffer=4_096))
            secure = stack.enter_context(context.wrap_socket(client, server_hostname="localhost"))
            secure.sendall(requests)
        assert scrape(service, context).status_code == 200
        until(lambda: not service.server._server._crowd._members, what="all are let go")


PATIENCE = [
    ([], "no hello"),
    ([b"\x16\x03\x01\x02"], "half a hello"),
]


@pytest.mark.parametrize(("sent", "reason"), PATIENCE)
def test_patience_with_a_handshake_ends(sent, reason, tmp_path):
    service = Service(patience=Patience(**IMPATIENT), web_config=written(tmp_path, TLS))
    with service, service.connected(*sent) as client:
        all_until_closed(client)  # would run into the client's own timeout


def test_patience_with_a_request_counts_from_the_connection(tmp_path):
    patience = Patience(**IMPATIENT | {"request": 1, "idle": 60})
    with Service(patience=patience, web_config=written(tmp_path, TLS)) as service:
        with contextlib.suppress(ConnectionError, ssl.SSLError), secured(service, trusting()) as client:
            client.sendall(b"GET /metr")
            assert client.recv(1) == b""
        assert not service.server._server._crowd._members


def test_the_handshake_that_takes_longest_makes_room_for_a_new_connection(tmp_path):
    service = Service(patience=Patience(connections=5), web_config=written(tmp_path, TLS))
    with service, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(service.connected()) for _ in range(5)]
        assert scrape(service, trusting()).status_code == 200
        assert all_until_closed(clients[0]) == b""
        with trusting().wrap_socket(clients[4], server_hostname="localhost") as last:
            last.sendall(SCRAPE)
            assert answer(last)[0] == "HTTP/1.1 200 OK"


def test_more_connections_than_we_keep_come_and_go_without_a_trace(tmp_path, caplog):
    service = Service(patience=Patience(connections=3), web_config=written(tmp_path, TLS))
    with service:
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", service.server.port)) as client:
                client.sendall(b"\x16")
        assert scrape(service, trusting()).status_code == 200
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


STAYING = [([], "no handshake"), ([SCRAPE], "idle"), ([b"GET /metrics HT"], "half a request")]


@pytest.mark.parametrize(("sent", "reason"), STAYING)
def test_a_stop_takes_less_than_two_seconds_whoever_stays(sent, reason, tmp_path, caplog):
    with Service(web_config=written(tmp_path, TLS)) as service, contextlib.ExitStack() as stack:
        context = trusting()
        for _ in range(10):
            if sent:
                stack.enter_context(secured(service, context)).sendall(*sent)
            else:
                stack.enter_context(service.connected())
        assert scrape(service, context).status_code == 200
        service.server.stop(timeout=2)
        assert not service.server.alive, reason
    assert not [record for record in caplog.records if record.name != "uvicorn.error"]
