"""Certificates: the owner's and our own."""

import datetime
import ipaddress
import logging
import ssl
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from assistant.config import load
from assistant.server import addresses, certificate
from assistant.server.certificate import RENEW, VALID, CertificateError, make_own, read_given
from assistant.server.tls import Tls, _answer, open_tls

NOW = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
NAMES = ("localhost", "127.0.0.1", "kitchen.local", "192.168.1.5")


@pytest.fixture
def own(tmp_path):
    return make_own(tmp_path / "tls", NAMES, NOW)


def test_our_own_certificate_is_for_these_names_and_nothing_else(own):
    found = x509.load_pem_x509_certificate(own.cert.read_bytes())
    named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(named.get_values_for_type(x509.DNSName)) == {"localhost", "kitchen.local"}
    assert set(map(str, named.get_values_for_type(x509.IPAddress))) == {"127.0.0.1", "192.168.1.5"}
    limits = found.extensions.get_extension_for_class(x509.NameConstraints)
    assert limits.critical
    assert {str(subtree.value) for subtree in limits.value.permitted_subtrees} == {
        "localhost",
        "kitchen.local",
        "127.0.0.1/32",
        "192.168.1.5/32",
    }
    assert own.expires == NOW + VALID
    assert own.fingerprint.count(":") == 31


def test_only_its_owner_reads_the_key(own):
    assert stat.S_IMODE(own.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(own.key.parent.stat().st_mode) == 0o700
    assert b"PRIVATE" not in own.cert.read_bytes()
    own.key.chmod(0o644)
    make_own(own.key.parent, NAMES, NOW)
    assert stat.S_IMODE(own.key.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("names", "later", "kept"),
    [
        (NAMES, DAY, True),
        (NAMES[:2], DAY, True),  # an address that is gone for a while
        ((*NAMES, "10.0.0.7"), DAY, False),
        (NAMES, VALID - RENEW - DAY, True),
        (NAMES, VALID - RENEW + DAY, False),
        (NAMES, 2 * VALID, False),
        (NAMES, -2 * DAY, False),  # the clock was wrong when it was made
    ],
)
def test_it_is_made_anew_when_it_won_t_do(own, names, later, kept):
    key = own.key.read_bytes()
    again = make_own(own.cert.parent, names, NOW + later)
    assert (again.fingerprint == own.fingerprint) is kept
    assert own.key.read_bytes() == key
    assert kept or again.expires == NOW + later + VALID


def test_going_back_and_forth_between_networks_needs_no_new_certificate(own):
    elsewhere = make_own(own.cert.parent, (*NAMES[:3], "10.0.0.7"), NOW + DAY)
    assert make_own(own.cert.parent, NAMES, NOW + 2 * DAY).fingerprint == elsewhere.fingerprint
    many = [f"10.1.0.{at}" for at in range(40)]
    found = x509.load_pem_x509_certificate(make_own(own.cert.parent, many, NOW).cert.read_bytes())
    assert len(found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == 40


@pytest.mark.parametrize("file", ["cert", "key"])
@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_what_is_damaged_is_made_anew(own, file, damage):
    path = getattr(own, file)
    path.unlink() if damage is None else path.write_bytes(damage)
    again = make_own(own.cert.parent, NAMES, NOW)
    assert again.fingerprint != own.fingerprint
    read_given(again.cert, again.key, NOW)


def test_a_folder_that_can_t_be_had_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CertificateError, match=r"file/tls.*--tls-cert"):
        make_own(tmp_path / "file" / "tls", NAMES, NOW)


def test_the_owners_certificate(own):
    given = read_given(own.cert, own.key, NOW)
    assert given.fingerprint == own.fingerprint
    assert not given.made_here


def encrypted(path):
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    how = serialization.BestAvailableEncryption(b"secret")
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how))


def another(path):
    key = ec.generate_private_key(ec.SECP256R1())
    plain = serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


def folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("file", "change", "later", "says"),
    [
        ("cert", lambda path: path.unlink(), 0 * DAY, r"There is no certificate at .*: check the path\.$"),
        ("key", lambda path: path.unlink(), 0 * DAY, r"There is no key at .*: check the path\.$"),
        ("cert", folder, 0 * DAY, r"can't be read \(Is a directory\): let the user who starts Parley read it\.$"),
        ("key", folder, 0 * DAY, r"can't be read \(Is a directory\): let the user who starts Parley read it\.$"),
        ("cert", lambda path: path.write_bytes(b"\x30\x82"), 0 * DAY, "holds no certificate in PEM format"),
        ("key", lambda path: path.write_bytes(b"\x30\x82"), 0 * DAY, "holds no private key in PEM format"),
        ("key", encrypted, 0 * DAY, r"protected by a password.*openssl pkey -in"),
        ("key", another, 0 * DAY, "doesn't belong to the certificate.*pass the two that were made together"),
        ("cert", lambda path: None, VALID, r"expired on 2027-12-26: renew it\.$"),
        ("cert", lambda path: None, -2 * DAY, r"valid from 2026-11-23 only: wait, or set this machine's clock\.$"),
    ],
)
def test_a_certificate_that_can_t_be_served_with_is_explained_in_a_sentence(own, file, change, later, says):
    change(getattr(own, file))
    with pytest.raises(CertificateError, match=says) as caught:
        read_given(own.cert, own.key, NOW + later)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"tls_cert": "a.pem"}, "pass --tls-key too"),
        ({"tls_key": "a.pem"}, "pass --tls-cert too"),
        ({"tls_cert": "a.pem", "tls_key": "b.pem", "tls_self_signed": True}, "Choose one"),
    ],
)
def test_keys_that_don_t_go_together(keys, says):
    with pytest.raises(CertificateError, match=says):
        open_tls(load(**keys).server)


def test_no_tls_unless_it_is_asked_for():
    assert open_tls(load().server) is None


def test_the_certificate_is_renewed_while_the_server_runs(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(certificate, "own_folder", lambda: tmp_path / "tls")
    here = [frozenset(NAMES)]
    monkeypatch.setattr(certificate, "names_here", lambda host: here[0])
    now = [NOW]
    tls = Tls(load(tls_self_signed=True).server, lambda: now[0])
    assert any(tls.certificate.fingerprint in line for line in tls.lines)
    assert not tls.renew()
    here[0] |= {"10.0.0.7"}
    assert tls.renew()
    before = tls.certificate
    now[0] += VALID
    assert tls.renew()
    assert tls.certificate.expires == before.expires + VALID
    before = tls.certificate
    now[0] += VALID
    monkeypatch.setattr(certificate, "own_folder", lambda: tmp_path / "tls" / "key.pem")
    with caplog.at_level(logging.WARNING):
        assert not tls.renew()
    assert tls.certificate == before
    assert "stays as it is" in caplog.text


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("name", "trusted"), [("192.168.1.5", True), ("kitchen.local", True), ("evil.example", False)])
def test_clients_that_trust_it_check_the_name(own, name, trusted, strict):
    client = ssl.create_default_context(cafile=own.cert)
    if strict:  # what Python 3.13 asks for by default
        client.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(own.cert, own.key)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True)]

    def shake():
        for _ in range(4):
            for end in ends:
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue

    if trusted:
        shake()
        assert ends[0].getpeercert()
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            shake()


def test_this_machines_names_make_a_certificate(tmp_path):
    names = addresses.names_here("0.0.0.0")
    assert {"localhost", "127.0.0.1", "::1"} <= names
    assert "0.0.0.0" not in names
    assert "fd00::5" in addresses.names_here("fd00::5")
    make_own(tmp_path, names, NOW)


@pytest.mark.parametrize(
    ("interfaces", "host", "expected"),
    [
        (["127.0.0.1", "192.168.1.5", "169.254.3.4"], "0.0.0.0", ["192.168.1.5"]),
        (["127.0.0.1", "192.168.1.5"], "", ["192.168.1.5"]),
        (["127.0.0.1", "192.168.1.5"], "127.0.0.1", []),
        (["127.0.0.1", "192.168.1.5", "10.0.0.7"], "10.0.0.7", ["10.0.0.7"]),
        (["127.0.0.1"], "kitchen.lan", []),
    ],
)
def test_where_other_machines_reach_it(monkeypatch, interfaces, host, expected):
    monkeypatch.setattr(addresses, "_ipv4", lambda: interfaces)
    assert addresses.addresses_on_lan(host) == expected


@pytest.mark.parametrize(
    ("request_", "goes_to"),
    [
        (b"GET /a?b=c HTTP/1.1\r\nHost: parley.lan:8765\r\nAccept: */*\r\n\r\n", b"https://parley.lan:8765/a?b=c"),
        (b"GET / HTTP/1.1\r\nhost:[::1]:8765\r\n\r\n", b"https://[::1]:8765/"),
        (b"GET /v1/realtime HTTP/1.1\r\nHost: parley.lan\r\nUpgrade: websocket\r\n\r\n", None),
        (b"POST / HTTP/1.1\r\nHost: parley.lan\r\n\r\n", None),
        (b"GET // HTTP/1.1\r\nHost: parley.lan\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\nHost: a\tb/\r\n\r\n", None),
        (b"GET / HT", None),
        (b"G", None),
    ],
)
def test_who_asks_without_tls_is_sent_to_it(request_, goes_to):
    answer = _answer(request_)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"https://" in body
    assert f"Content-Length: {len(body)}".encode() in head
    assert head.startswith(b"HTTP/1.1 400" if goes_to is None else b"HTTP/1.1 308")
    assert goes_to is None or f"Location: {goes_to.decode()}".encode() in head.split(b"\r\n")


def test_an_address_is_an_address():
    assert addresses.as_address("10.0.0.7") == ipaddress.ip_address("10.0.0.7")
    assert addresses.as_address("kitchen") is None
