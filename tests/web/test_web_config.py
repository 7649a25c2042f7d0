"""The web config file: what the exporter-toolkit's format means here, and what of it we refuse."""

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exporter.cli.main import commands
from exporter.web.entrance.in_force import WebConfigInForce
from exporter.web.entrance.tls import CIPHER_SUITES
from exporter.web.entrance.web_config import read

from .certificates import CLIENTS, TLS, client_certificate, hashed, users, write_certificate, written

RSA_SUITES = [name for name in CIPHER_SUITES if "_RSA_" in name]


def config_of(path):
    return WebConfigInForce(path).now()


def problems_of(path):
    """What is wrong with a file, without its name."""
    return [str(problem).replace(f"{path.parent}/", "") for problem in read(path).problems]


GOOD = [
    ("", "an empty file asks for nothing"),
    ("---\n# nothing\n", "a comment"),
    ("tls_server_config:\nbasic_auth_users:\n", "sections without a word"),
    (TLS, "a certificate and its key"),
    (TLS + "http_server_config: {http2: true}", "the default, written down: clients may ask for HTTP/2, and get 1.1"),
    (TLS + "http_server_config: {http2: false}", "what we do anyway"),
    (TLS.replace("}", ", min_version: TLS13}"), "only the newest"),
    (TLS.replace("}", ", min_version: TLS12, max_version: TLS12}"), "only the older one"),
    (TLS.replace("}", ", client_auth_type: NoClientCert}"), "the default, written down"),
    (TLS.replace("}", ", client_auth_type: ''}"), "a template without a value"),
    (CLIENTS, "client certificates"),
    (CLIENTS.replace("}", ", client_allowed_sans: [one, test3]}"), "of some clients"),
    (TLS.replace("}", f", cipher_suites: [{', '.join(RSA_SUITES)}]}}"), "suites by Go's names"),
    (TLS.replace("}", ", prefer_server_cipher_suites: off}"), "YAML 1.1 has many words for false"),
    ("http_server_config: {headers: {X-XSS-Protection: 1}}", "a number where a text belongs"),
    ("rate_limit: {interval: 0, burst: 0}", "a limit that is off"),
    ("rate_limit: {interval: 1s, burst: 20}", "the toolkit's example"),
    (users(alice="a", bob="b"), "passwords without TLS"),
    (users().replace("$2b$", "$2y$"), "a hash that htpasswd made"),
]


@pytest.mark.parametrize(("text", "reason"), GOOD, ids=[reason for _, reason in GOOD])
def test_what_the_format_allows_is_taken(text, reason, tmp_path):
    assert not problems_of(written(tmp_path, text))


BAD = [
    ("cert_file: server.crt", ['cert_file: unknown key; known: "tls_server_config", "http_server_config", '
     '"basic_auth_users", "rate_limit"'], "a key outside of its section"),
    ("tls_server_config: {cert_filse: server.crt}", ['tls_server_config.cert_filse: unknown key; did you mean '
     '"cert_file"?'], "misspelt, as in the toolkit's test"),
    ("just some words", ["expected keys and values"], "no mapping at all"),
    ("basic_auth_users: [alice]", ["basic_auth_users: expected keys and values"], "a list"),
    ("a: b: c", ["no valid YAML at line 1, column 5"], "no YAML"),
    ("basic_auth_users: {alice: *secret}", ["no valid YAML at line 1, column 27"], "a value that looks like an alias"),
    ("a: \x01", ["no valid YAML: it is not plain UTF-8 text, or nested too deeply"], "a control character"),
    ("rate_limit:\nrate_limit:\n", ["rate_limit: is given twice; keep one of the two"], "a section twice"),
    (users() + "  alice: x", ["basic_auth_users.alice: is given twice; keep one of the two"], "a user twice"),
    ("? [a]\n: b", ["has a key that is no word"], "a list as a key"),
    ("tls_server_config: {key_file: server.key}", ["tls_server_config.cert_file: is missing; name a PEM file, or give "
     "cert itself"], "a key without a certificate"),
    ("tls_server_config: {cert_file: server.crt, key_file: ''}", ["tls_server_config.key_file: is missing; name a PEM "
     "file, or give key itself"], "a certificate without a key"),
    ("tls_server_config: {min_version: TLS13}", ["tls_server_config.cert_file: is missing; name a PEM file, or give "
     "cert itself", "tls_server_config.key_file: is missing; name a PEM file, or give key itself"],
     "an option of TLS without TLS: the toolkit would serve plain HTTP"),
    ("tls_server_config: {cert_file: no.crt, key_file: no.key}", ['tls_server_config.cert_file: "no.crt" cannot be '
     'read: No such file or directory', 'tls_server_config.key_file: "no.key" cannot be read: No such file or '
     'directory'], "files that are not there"),
    ("tls_server_config: {cert_file: server.key, key_file: server.crt}", ["tls_server_config.cert_file: holds no PEM "
     "certificate; it begins with -----BEGIN CERTIFICATE-----", "tls_server_config.key_file: holds no PEM private "
     "key; it begins with -----BEGIN PRIVATE KEY-----"], "the two swapped"),
    ("tls_server_config: {cert_file: server.crt, key_file: other.key}", ["tls_server_config.key_file: does not belong "
     "to the certificate; give both from one issue"], "somebody else's key"),
    ("tls_server_config: {cert_file: server.crt, key_file: locked.key}", ["tls_server_config.key_file: is encrypted, "
     "and nobody is there to type its password; decrypt it with openssl pkey"], "a key with a password"),
    ("tls_server_config: {cert_file: damaged.crt, key_file: server.key}", ["tls_server_config.cert_file: holds a "
     "damaged certificate"], "a certificate that is none"),
    ("tls_server_config: {cert_file: server.crt, key_file: damaged.key}", ["tls_server_config.key_file: OpenSSL "
     "refuses certificate and key: it is damaged"], "a key that is none"),
    ("tls_server_config: {cert_file: server.crt, cert: x, key_file: server.key}", ["tls_server_config.cert_file: cert "
     "is given as well; keep one of the two"], "which one is it?"),
    ("tls_server_config: {cert_file: '-----BEGIN PRIVATE KEY-----', key_file: server.key}", [
     "tls_server_config.cert_file: is no path but a PEM text; drop the _file from the key's name"], "a text as a path"),
    (TLS.replace("}", ", client_ca_file: ca.crt}"), ["tls_server_config.client_auth_type: is missing beside "
     "client_ca_file: without it no client is asked for a certificate; write RequireAndVerifyClientCert"],
     "an authority for nothing"),
    (CLIENTS.replace("ca.crt", "/dev/null"), ['tls_server_config.client_ca_file: "/dev/null" is not a file'],
     "as in the toolkit's test"),
    (CLIENTS.replace(", client_ca_file: ca.crt", ""), ["tls_server_config.client_ca_file: is missing: the certificates "
     "of every public authority would be let in; name the PEM file of your clients' authority"], "Go's default"),
    *[(CLIENTS.replace("RequireAndVerifyClientCert", mode), [f"tls_server_config.client_auth_type: {mode} is not "
       "supported: Python's TLS asks for no client certificate, or requires and verifies one; write "
       "RequireAndVerifyClientCert and client_ca_file, or NoClientCert"], "between none and verified")
      for mode in ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert", "VerifyClientCertIfGiven")],
    (CLIENTS.replace("RequireAnd", "Requireand"), ['tls_server_config.client_auth_type: '
     '"RequireandVerifyClientCert" is unknown; did you mean "RequireAndVerifyClientCert"?'], "Go minds the case"),
    (CLIENTS.replace("}", ", client_allowed_sans: []}"), ["tls_server_config.client_allowed_sans: is empty, so that "
     "every client would be refused; name one, or leave it out"], "nobody"),
    (TLS.replace("}", ", client_allowed_sans: [one]}"), ["tls_server_config.client_allowed_sans: has no effect, "
     "because no client is asked for a certificate; write client_auth_type: RequireAndVerifyClientCert and "
     "client_ca_file"], "names of nobody"),
    (TLS.replace("}", ", min_version: TLS11}"), ["tls_server_config.min_version: TLS11 is not supported: it is broken, "
     "and OpenSSL refuses it; write TLS12 or TLS13"], "too old"),
    (TLS.replace("}", ", min_version: TLS111}"), ['tls_server_config.min_version: "TLS111" is unknown; write TLS12 '
     'or TLS13'], "as in the toolkit's test"),
    (TLS.replace("}", ", min_version: TLS13, max_version: TLS12}"), ["tls_server_config.max_version: is lower than "
     "min_version; swap the two, or leave one out"], "nothing between them"),
    (TLS.replace("}", ", curve_preferences: [X25519]}"), ["tls_server_config.curve_preferences: is not supported: "
     "Python's TLS cannot choose among curves; leave it out, OpenSSL's own choice is a good one"], "curves"),
    (TLS.replace("}", ", cipher_suites: [TLS_AES_128_GCM_SHA256]}"), ["tls_server_config.cipher_suites: "
     "TLS_AES_128_GCM_SHA256 is of TLS 1.3, whose suites cannot be chosen: all are always on; remove it from the "
     "list"], "a suite of TLS 1.3"),
    (TLS.replace("}", ", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA2048]}"), ['tls_server_config.cipher_suites:'
     ' "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA2048" is unknown; did you mean "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"?'],
     "invented"),
    (TLS.replace("}", ", cipher_suites: all}"), ["tls_server_config.cipher_suites: expected a list of single values"],
     "no list"),
    (TLS.replace("}", ", prefer_server_cipher_suites: maybe}"), ["tls_server_config.prefer_server_cipher_suites: "
     'expected true or false, not "maybe"'], "no flag"),
    (TLS.replace("server.crt", "[server.crt]"), ["tls_server_config.cert_file: expected a single value"],
     "a list where a word belongs"),
    ("basic_auth_users: {alice: doe}", ["basic_auth_users.alice: is not a bcrypt hash; make one with htpasswd -nBC 10 "
     '"" | tr -d ":\\n"'], "the password itself"),
    (f"basic_auth_users: {{'a:b': {hashed()}}}", ['basic_auth_users."a:b": is no user name: it is empty or has a '
     "colon; choose another one"], "a name that cannot be sent"),
    ("http_server_config: {headers: {Content-Type: foo}}", ["http_server_config.headers.Content-Type: is no header "
     'that can be set; did you mean "X-Content-Type-Options"?'], "not one of the five"),
    ("http_server_config: {headers: {X-Frame-Options: foo}}", ['http_server_config.headers.X-Frame-Options: "foo" is '
     "not allowed; known: deny, sameorigin"], "not one of the two"),
    ('http_server_config: {headers: {X-XSS-Protection: "1\\r\\nX: y"}}', ["http_server_config.headers.X-XSS-Protection"
     ": has characters that no header can have; use printable ASCII, on one line"], "a second header in it"),
    ("http_server_config: {http2: maybe}", ['http_server_config.http2: expected true or false, not "maybe"'],
     "no flag"),
    ("rate_limit: {interval: 1s}", ["rate_limit.burst: is 0, so that every request would be refused; write how many "
     "may come at once"], "the toolkit refuses every request then"),
    ("rate_limit: {interval: 1 second, burst: 1}", ['rate_limit.interval: "1 second" is no duration; write a number '
     'with a unit, such as "1s" or "500ms"'], "no duration of Go's"),
    ("rate_limit: {interval: 1000h, burst: 1}", ['rate_limit.interval: "1000h" is out of range; a microsecond to a '
     "day"], "not meant"),
    ("rate_limit: {interval: 1s, burst: many}", ['rate_limit.burst: expected a whole number, not "many"'], "a word"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problems", "reason"), BAD, ids=[f"{reason}-{n}" for n, (*_, reason) in enumerate(BAD)]
)
def test_what_is_wrong_is_said_with_its_place_and_a_hint(text, problems, reason, tmp_path):
    path = written(tmp_path, text)
    key = (tmp_path / "server.key").read_text()
    (tmp_path / "locked.key").write_text(key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"))
    (tmp_path / "damaged.key").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    (tmp_path / "damaged.crt").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (tmp_path / "other.key").write_bytes(client_certificate().private_key_pem.bytes())
    assert problems_of(path) == problems


def test_everything_wrong_is_said_at_once(tmp_path):
    path = written(
        tmp_path,
        "tls_server_config: {cert_file: no.crt, key_file: server.key, min_version: TLS10, curve_preferences: [a]}\n"
        "http_server_config: {headers: {X-Frame-Options: allow}}\n"
        "basic_auth_users: {alice: secret, bob: secret}\n"
        "rate_limits: {}\n",
    )
    assert [problem.partition(":")[0] for problem in problems_of(path)] == [
        "rate_limits",
        "tls_server_config.cert_file",
        "tls_server_config.min_version",
        "tls_server_config.curve_preferences",
        "http_server_config.headers.X-Frame-Options",
        "basic_auth_users.alice",
        "basic_auth_users.bob",
    ]


def test_no_message_shows_a_hash_or_a_key(tmp_path):
    path = written(tmp_path, TLS, users().replace("$2b$", "$3b$"), "rate_limit: [x]\n")
    said = "\n".join(problems_of(path))
    assert "not a bcrypt hash" in said
    assert hashed()[4:] not in said
    path.write_text("tls_server_config: {cert_file: server.crt, key: |\n  -----BEGIN PRIVATE KEY-----\n  geheim\n}")
    assert "geheim" not in "\n".join(problems_of(path))
    path.write_text(
        "tls_server_config:\n  cert_file: server.crt\n  key: |\n    -----BEGIN PRIVATE KEY-----\n    geheim"
    )
    assert "geheim" not in "\n".join(problems_of(path))


def test_a_hash_or_a_key_in_the_wrong_place_is_not_shown_either(tmp_path):
    path = written(tmp_path, f"tls_server_config: {{min_version: {hashed()}, cert_file: {hashed()}}}\n")
    assert [hashed()[4:] in line for line in problems_of(path)] == [False] * 3
    path.write_text(f"basic_auth_users: {{{hashed()}: alice}}\nrate_limit: {{burst: '-----BEGIN KEY geheim'}}")
    assert [hashed()[4:] in line or "geheim" in line for line in problems_of(path)] == [False] * 2


SECTIONS = {
    "tls_server_config": ("cert_file", "key", "key_file", "client_ca_file", "client_auth_type", "client_allowed_sans",
                          "min_version", "cipher_suites", "curve_preferences", "prefer_server_cipher_suites"),
    "http_server_config": ("http2", "headers"),
    "basic_auth_users": ("alice", '""', "null"),
    "rate_limit": ("interval", "burst"),
}  # fmt: skip
VALUES = ("", "[]", "{}", "[1]", "{a: b}", "1", "x", "&a [*a]", "*a", "!x y", "!!binary aGk=", "server.crt",
          "server.key", "/", ".", "/dev/zero", '"\\0"', '"\\ud800"', '"\\u2028"', "TLS13", "RequireAndVerifyClientCert",
          "ca.crt", "1s", "<<", "'", "%", "HASH")  # fmt: skip
anything = st.fixed_dictionaries(
    {},
    optional={
        section: st.one_of(
            st.sampled_from(VALUES), st.dictionaries(st.sampled_from((*keys, "other")), st.sampled_from(VALUES))
        )
        for section, keys in SECTIONS.items()
    },
)


@given(anything)
@example({"tls_server_config": {"cert_file": '"\\0"'}})
@example({"tls_server_config": {"key": '"\\ud800"'}})
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_the_file_is_good_or_a_line_that_can_be_shown(tmp_path, content):
    lines = []
    for section, value in content.items():
        below = value if isinstance(value, str) else f"{{{', '.join(f'{k}: {v}' for k, v in value.items())}}}"
        lines.append(f"{section}: {below}")
    for problem in read(written(tmp_path, "\n".join(lines).replace("HASH", hashed()))).problems:
        assert str(problem).isprintable()
        assert hashed()[4:] not in str(problem)


def test_a_file_that_is_not_there_or_is_no_text(tmp_path):
    assert problems_of(tmp_path / "web.yml") == ['"web.yml" cannot be read: No such file or directory']
    (tmp_path / "web.yml").write_bytes(b"\xff\xfe\x00")
    assert problems_of(tmp_path / "web.yml") == ["no valid YAML: it is not plain UTF-8 text, or nested too deeply"]
    (tmp_path / "web.yml").write_bytes(b"# " + b"x" * (1 << 20))
    assert problems_of(tmp_path / "web.yml") == ['"web.yml" is too large']


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # apprise asks for it
def test_the_check_command_tells_what_is_wrong_with_both_files_and_exits_with_2(tmp_path):
    path = written(tmp_path, "basic_auth_users: {alice: doe}")
    config = tmp_path / "config.toml"
    config.write_text(
        '[maia]\nclient_id = "x"\nclient_secret = "x"\n[web]\nconfig_file = "web.yml"\n'
        '[[targets]]\nname = "a"\nurl = "nonsense://"\n'
    )
    done = CliRunner().invoke(commands, ["check", "--config", str(config)])
    assert done.exit_code == 2
    assert f"{config}: [[targets]] #1" in done.stderr
    assert f"{config}: [web] config_file: {path}: basic_auth_users.alice: is not a bcrypt hash" in done.stderr
    assert "doe" not in done.stderr


def test_certificate_and_key_can_stand_in_the_file_itself(tmp_path):
    write_certificate(tmp_path)
    lines = ["tls_server_config:", "  client_auth_type: RequireAndVerifyClientCert"]
    for name, file in (("cert", "server.crt"), ("key", "server.key"), ("client_ca", "ca.crt")):
        lines += [f"  {name}: |", *(f"    {line}" for line in (tmp_path / file).read_text().splitlines())]
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "elsewhere" / "web.yml"
    path.write_text("\n".join(lines))
    assert config_of(path).tls.knows_clients


def test_a_certificate_and_its_key_can_share_a_file(tmp_path):
    path = written(tmp_path, "tls_server_config: {cert_file: both.pem, key_file: both.pem}")
    (tmp_path / "both.pem").write_text((tmp_path / "server.crt").read_text() + (tmp_path / "server.key").read_text())
    assert config_of(path).tls


HEADER_LINES = """http_server_config:
  headers:
    X-Frame-Options: deny
    Strict-Transport-Security: max-age=31536000; includeSubDomains
    X-Content-Type-Options: nosniff
    X-XSS-Protection: 1
    Content-Security-Policy: ""
"""


def test_headers_are_taken_as_they_are_written_and_blank_ones_left_out(tmp_path):
    assert dict(config_of(written(tmp_path, HEADER_LINES)).headers) == {
        b"x-frame-options": b"deny",
        b"strict-transport-security": b"max-age=31536000; includeSubDomains",
        b"x-content-type-options": b"nosniff",
        b"x-xss-protection": b"1",
    }


SIGNED_IN = [
    ("", False, "nothing"),
    (TLS, False, "encrypted, and open to all"),
    (users(), True, "passwords"),
    (CLIENTS, True, "client certificates"),
    (TLS + users(), True, "both"),
]


@pytest.mark.parametrize(("text", "signs_in", "reason"), SIGNED_IN, ids=[reason for *_, reason in SIGNED_IN])
def test_who_has_come_in_is_known_by_password_or_by_certificate(text, signs_in, reason, tmp_path):
    assert config_of(written(tmp_path, text)).signs_in is signs_in, reason


@pytest.mark.parametrize(("written_as", "seconds"), [("1s", 1), ("500ms", 0.5), ("1m30s", 90), ("1.5h", 5400)])
def test_the_interval_of_a_limit_is_a_duration_of_gos(written_as, seconds, tmp_path):
    limit = config_of(written(tmp_path, f"rate_limit: {{interval: {written_as}, burst: 2}}")).rate_limit
    assert (limit.interval.total_seconds(), limit.burst) == (seconds, 2)
