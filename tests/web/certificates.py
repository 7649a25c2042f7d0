"""Web config files for the tests, and what they name: certificates of a throw-away authority, cheap bcrypt hashes."""

import ssl
from functools import cache

import bcrypt
import trustme

PASSWORD = "correct horse"


@cache
def authority(name):
    return trustme.CA(organization_name=name)


@cache
def server_certificate(name="first"):
    return authority("ours").issue_cert("localhost", "127.0.0.1", organization_name=name)


@cache
def client_certificate(*names, by="ours"):
    return authority(by).issue_cert(*(names or ("prometheus",)))


@cache
def hashed(password=PASSWORD, cost=4):
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def write_certificate(folder, certificate=None):
    """server.crt and server.key."""
    certificate = certificate or server_certificate()
    (folder / "server.key").write_bytes(certificate.private_key_pem.bytes())
    (folder / "server.crt").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    (folder / "ca.crt").write_bytes(authority("ours").cert_pem.bytes())


TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
CLIENTS = (
    "tls_server_config: {cert_file: server.crt, key_file: server.key, "
    "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.crt}\n"
)


def users(**passwords):
    """`basic_auth_users` with these names and passwords; alice when none is given."""
    passwords = passwords or {"alice": PASSWORD}
    return "basic_auth_users:\n" + "".join(f"  {name}: {hashed(word)}\n" for name, word in passwords.items())


def written(folder, *parts):
    """A web config file beside its certificates."""
    write_certificate(folder)
    path = folder / "web.yml"
    path.write_text("".join(parts))
    return path


def trusting(client=None, **settings):
    """What a client needs to trust us, with its own certificate if it has one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the system's authorities cost 30 ms to load
    authority("ours").configure_trust(context)
    if client:
        client.configure_cert(context)
    for name, value in settings.items():
        setattr(context, name, value)
    return context
