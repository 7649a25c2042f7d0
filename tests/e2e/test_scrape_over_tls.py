"""Prometheus itself, over TLS, with a client certificate and a password; and those who lack one of them."""

import httpx
import pytest
from web.certificates import (
    CLIENTS,
    PASSWORD,
    client_certificate,
    server_certificate,
    trusting,
    users,
    write_certificate,
    written,
)

from .processes import until

pytestmark = [pytest.mark.e2e, pytest.mark.prometheus]


def job(name, port, *, password=PASSWORD, certificate=True, **tls):
    return {
        "job_name": name,
        "scheme": "https",
        "scrape_interval": "2s",
        "scrape_timeout": "2s",
        "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
        "basic_auth": {"username": "alice", "password": password},
        "tls_config": {
            "ca_file": "ca.crt",
            **({"cert_file": "client.crt", "key_file": "client.key"} if certificate else {}),
            **tls,
        },
    }


@pytest.fixture
def service(stage):
    """The exporter, with TLS, client certificates and passwords; the files lie in the stage's folder."""
    written(stage.folder, CLIENTS, users())
    mine = client_certificate()
    (stage.folder / "client.key").write_bytes(mine.private_key_pem.bytes())
    (stage.folder / "client.crt").write_bytes(mine.cert_chain_pems[0].bytes())
    service = stage.service(api=stage.simulator().url, extra='config_file = "web.yml"')
    service.url = service.url.replace("http:", "https:")
    until(lambda: f"url={service.url}" in service.text, what="the service serves")
    return service


def status(service, path, *, context, auth=None):
    with httpx.Client(verify=context, trust_env=False, timeout=10) as client:
        return client.get(service.url + path, auth=auth).status_code


def test_prometheus_scrapes_over_tls_with_certificate_and_password_while_certificates_rotate(stage, service):
    prometheus = stage.prometheus(
        jobs=(
            job("good", service.port),
            job("no_certificate", service.port, certificate=False),
            job("wrong_password", service.port, password="wrong"),
            job("old_version", service.port, max_version="TLS11", min_version="TLS10"),
        )
    )

    def scraped(name, times):
        return prometheus.query(f'count_over_time(up{{job="{name}"}}[5m]) >= {times}')

    until(lambda: prometheus.query('maia_up{job="good"} == 1'), timeout=40, what="Prometheus has scraped")
    write_certificate(stage.folder, server_certificate("second"))
    for name in ("good", "no_certificate", "wrong_password", "old_version"):
        until(lambda name=name: scraped(name, 4), timeout=60, what=f"{name} has scraped")
        always = prometheus.query(f'max_over_time(up{{job="{name}"}}[5m])')
        assert list(always.values()) == [1 if name == "good" else 0], name
    assert list(prometheus.query('min_over_time(up{job="good"}[5m])').values()) == [1]
    assert "The web config has changed, and is in force." in service.text


def test_the_service_asks_for_both_and_tells_neither(stage, service):
    known = trusting(client_certificate())

    assert status(service, "/metrics", context=known) == 401
    assert status(service, "/metrics", context=known, auth=("alice", PASSWORD)) == 200
    assert status(service, "/", context=known, auth=("alice", PASSWORD)) == 200
    assert status(service, "/-/healthy", context=known) == 200
    with pytest.raises((httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)):
        status(service, "/-/healthy", context=trusting())
    assert PASSWORD not in service.text
    assert "$2b$" not in service.text
    assert service.end() == 0
