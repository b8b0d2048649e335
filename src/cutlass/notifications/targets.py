"""Where a webhook may be: on the public internet, behind TLS, and nowhere else.

A customer's address must not lead a function of ours to what only we can reach: the network it runs in, the
machine's own addresses, the metadata of the cloud. So the name is resolved once, every address it has must be
public, and the connection goes to one of these very addresses. What the name says a moment later does not matter.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from cutlass.domain.errors import CutlassError, InvalidRequestError

LONGEST_URL = 2048
HTTPS_PORT = 443

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]
"""Gives a name's addresses for a port, as text; raises `OSError` where it has none."""

_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")

# Taken for public by some, and yet a way to somewhere else: addresses that hold another within them.
_WRAPPING = tuple(
    ipaddress.ip_network(network)
    for network in (
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
        "::/96",
        "::ffff:0:0/96",
        "fec0::/10",
        "3fff::/20",  # of documentation, which not every Python knows
    )
)
_UNICAST = ipaddress.ip_network("2000::/3")
_CLOSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
    )
)


class ForbiddenTargetError(CutlassError):
    """An address is not one that may be called; it is not tried again."""

    code = "forbidden-target"


@dataclass(frozen=True, slots=True)
class Target:
    """An address as it is called.

    Attributes
    ----------
    host : str
        The name the certificate must have, and the request's `Host`, without a port.
    path : str
        Path and query, as given.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """What may be shown of it: a path may hold a secret."""
        usual = {"https": 443, "http": 80}[self.scheme]
        return f"{self.scheme}://{self.authority}" if self.port != usual else f"{self.scheme}://{self._written}"

    @property
    def authority(self) -> str:
        """The host with its port."""
        return f"{self._written}:{self.port}"

    @property
    def _written(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def read_target(url: str, *, loopback: bool = False) -> Target:
    """Read a webhook's address; no name is resolved.

    Parameters
    ----------
    loopback : bool
        Whether it may be on this machine, on any port and without TLS: for the local platform.

    Raises
    ------
    InvalidRequestError
        It is none that could be called; the message says why.
    """
    if len(url) > LONGEST_URL:
        raise _wrong(f"it has more than {LONGEST_URL} characters")
    if not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        raise _wrong("it has blanks, control characters or letters outside ASCII; write such a name in punycode")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise _wrong("it is not a URL") from None
    if parts.scheme not in ({"https", "http"} if loopback else {"https"}):
        raise _wrong("it must begin with https://")
    if parts.username is not None or parts.password is not None:
        raise _wrong("it must hold no user name or password")
    if not host or not _HOST.fullmatch(f"[{host}]" if ":" in host else host):
        raise _wrong("it names no host")
    usual = HTTPS_PORT if parts.scheme == "https" else 80
    if port is None:
        port = usual
    if not loopback and port != HTTPS_PORT:
        raise _wrong(f"its port must be {HTTPS_PORT}")
    literal = _literal(host)
    if literal is not None and not may_call(literal, loopback=loopback):
        raise _wrong(f"{host} is not a public address")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path)


def places(target: Target, resolve: Resolve, *, loopback: bool = False) -> list[str]:
    """Resolve a target's name, once, and return the addresses to connect to, IPv4 first.

    Raises
    ------
    ForbiddenTargetError
        One of them is not public. That one is enough: a name that has both is made to be chosen wrongly.
    OSError
        It has none.
    """
    found = [_literal(text) for text in resolve(target.host, target.port)]
    addresses = list(dict.fromkeys(found))
    if not addresses:
        raise OSError(f"{target.host} has no address")
    for address in addresses:
        if address is None or not may_call(address, loopback=loopback):
            raise ForbiddenTargetError(f"{target.host} resolves to an address that is not public")
        if target.scheme == "http" and not address.is_loopback:
            raise ForbiddenTargetError(f"{target.host} is not on this machine, and would be called without TLS")
    return [str(address) for address in sorted(filter(None, addresses), key=lambda address: address.version)]


def may_call(address: Address, *, loopback: bool = False) -> bool:
    """Whether an address is public: reachable from anywhere, and by itself no way to another."""
    if loopback and address.is_loopback:
        return True
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped or address.sixtofour or address.teredo or address.is_site_local:
            return False
        return address in _UNICAST and not any(address in network for network in _WRAPPING)
    return not any(address in network for network in _CLOSED)


def _literal(text: str) -> Address | None:
    """Read an address; a scope, as in `fe80::1%eth0`, is no part of one that may be called."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _wrong(why: str) -> InvalidRequestError:
    return InvalidRequestError(f"the webhook's url cannot be called: {why}", field="webhook.url")
