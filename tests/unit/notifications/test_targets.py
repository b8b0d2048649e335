"""No customer's address leads a function of ours to where only we can go."""

from ipaddress import ip_address

import pytest

from cutlass.domain.errors import InvalidRequestError
from cutlass.notifications.names import Names
from cutlass.notifications.targets import ForbiddenTargetError, may_call, places, read_target

NOT_PUBLIC = [
    "0.0.0.0",  # noqa: S104 - to be called, not listened on
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "52.95.110.1", "172.15.255.255", "172.32.0.1", "2600:1f18::1", "2a00:1450::1"]


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_addresses_that_are_not_public_are_not_called(text: str) -> None:
    assert not may_call(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_called(text: str) -> None:
    assert may_call(ip_address(text))


def test_this_machine_is_called_only_where_that_is_set() -> None:
    assert may_call(ip_address("127.0.0.1"), loopback=True)
    assert may_call(ip_address("::1"), loopback=True)
    assert not may_call(ip_address("10.0.0.1"), loopback=True)
    assert not may_call(ip_address("169.254.169.254"), loopback=True)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "must begin with https://"),
        ("hooks.example.com/x", "must begin with https://"),
        ("http://hooks.example.com/x", "must begin with https://"),
        ("ftp://hooks.example.com/x", "must begin with https://"),
        ("file:///etc/passwd", "must begin with https://"),
        ("gopher://127.0.0.1:6379/_x", "must begin with https://"),
        ("https://", "names no host"),
        ("https:///path", "names no host"),
        ("https://user:secret@example.com/", "no user name or password"),
        ("https://example.com@10.0.0.1/", "no user name or password"),
        ("https://example.com:22/", "port must be 443"),
        ("https://example.com:0/", "port must be 443"),
        ("https://example.com:99999/", "not a URL"),
        ("https://exa mple.com/", "blanks"),
        ("https://example.com/\r\nX-Evil: 1", "blanks"),
        ("https://exämple.com/", "punycode"),
        ("https://example.com/ä", "punycode"),
        ("https://ex_ample.com/", "names no host"),
        ("https://127.0.0.1/", "not a public address"),
        ("https://169.254.169.254/latest/meta-data/", "not a public address"),
        ("https://[::1]/", "not a public address"),
        ("https://[::ffff:169.254.169.254]/", "not a public address"),
        ("https://[fe80::1%25eth0]/", "names no host"),
        ("https://[::1/", "not a URL"),
        (f"https://example.com/{'x' * 2048}", "more than 2048 characters"),
    ],
)
def test_addresses_that_cannot_be_called_say_why(url: str, why: str) -> None:
    with pytest.raises(InvalidRequestError, match=why) as told:
        read_target(url)
    assert told.value.field == "webhook.url"


def test_an_address_is_read_as_it_is_called() -> None:
    target = read_target("https://Hooks.Example.com/a/b?token=secret#part")
    assert (target.host, target.port, target.path) == ("hooks.example.com", 443, "/a/b?token=secret")
    assert target.origin == "https://hooks.example.com", "what may be a secret is not shown"
    assert read_target("https://example.com").path == "/"
    assert read_target("https://[2600:1f18::1]/x").origin == "https://[2600:1f18::1]"


def test_this_machine_may_be_named_only_where_that_is_set() -> None:
    target = read_target("http://127.0.0.1:8080/x", loopback=True)
    assert (target.scheme, target.port, target.origin) == ("http", 8080, "http://127.0.0.1:8080")
    with pytest.raises(InvalidRequestError):
        read_target("http://10.0.0.1:8080/x", loopback=True)


TARGET = read_target("https://hooks.example.com/x")


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_one_address_that_is_not_public_is_enough_to_refuse_a_name(text: str) -> None:
    with pytest.raises(ForbiddenTargetError, match="not public"):
        places(TARGET, lambda _host, _port: ["8.8.8.8", text])


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "0"])
def test_other_spellings_of_this_machine_are_refused_once_resolved(host: str) -> None:
    with pytest.raises((ForbiddenTargetError, InvalidRequestError, OSError)):
        places(read_target(f"https://{host}/"), Names(60).addresses)


def test_a_name_is_resolved_once_and_ipv4_comes_first() -> None:
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["2600:1f18::1", "8.8.8.8", "8.8.8.8"]

    assert places(TARGET, resolve) == ["8.8.8.8", "2600:1f18::1"]
    assert asked == [("hooks.example.com", 443)]


def test_a_scope_hides_no_address() -> None:
    with pytest.raises(ForbiddenTargetError):
        places(TARGET, lambda *_: ["fe80::1%eth0"])


def test_what_is_no_address_at_all_is_refused() -> None:
    with pytest.raises(ForbiddenTargetError):
        places(TARGET, lambda *_: ["nonsense"])
    with pytest.raises(OSError, match="no address"):
        places(TARGET, lambda *_: [])


def test_without_tls_only_this_machine_is_called() -> None:
    plain = read_target("http://hooks.example.com:80/", loopback=True)
    with pytest.raises(ForbiddenTargetError, match="without TLS"):
        places(plain, lambda *_: ["8.8.8.8"], loopback=True)
