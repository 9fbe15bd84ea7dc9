"""A POST to somebody else's server: by https, to an address that was looked at, and never anywhere else.

The name is resolved once. Every address it has must be public, and the connection goes to one of them, so that no
second answer of a name server leads inside; the certificate is still held against the name. Redirects are not
followed, and no more of an answer is read than its status.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from functools import cache
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

import h11

from cdp.errors import GatewayUnavailable, RequestInvalid

ATTEMPT_SECONDS: Final = 15.0
ANSWER_BYTES: Final = 16_384
LONGEST_URL: Final = 2000
PORTS: Final = {"https": 443, "http": 80}
UNICAST: Final = IPv6Network("2000::/3")
TRANSLATED: Final = IPv6Network("64:ff9b::/96")
"""IPv4 addresses as a network without IPv4 writes them."""


def check_url(url: str, *, private: bool) -> SplitResult:
    """The parts of a URL that may be told; raises RequestInvalid WEBHOOK_URL. `private`: http is let in, too."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in (PORTS if private else ("https",)) and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or len(url) > LONGEST_URL or not all("!" <= sign <= "~" for sign in url) or {"@", "#"} & set(url):
        raise RequestInvalid("WEBHOOK_URL", "url: expected https://HOST/PATH, without a name, a password or a fragment")
    if not private and _is_inside(parts.hostname or ""):
        raise RequestInvalid("WEBHOOK_URL", "url: expected an address that is public")
    return parts


def _is_inside(host: str) -> bool:
    """Whether that can be told without asking a name server."""
    try:
        return not is_public(host)
    except ValueError:
        return host == "localhost"


def is_public(text: str) -> bool:
    """Whether an address is reached over the internet: none of this machine, its network or its cloud."""
    address = ip_address(text.partition("%")[0])
    if address.version == 6:
        inner = IPv4Address(address.packed[12:]) if address in TRANSLATED else address.ipv4_mapped
        tunnelled = address.sixtofour or address.teredo
        if inner is None and (tunnelled or address not in UNICAST):
            return False
        address = inner or address
    return address.is_global and not address.is_multicast


async def post(url: str, headers: Mapping[str, str], body: bytes, *, private: bool) -> int:
    """The status of the answer. `private`: addresses that are not public are let in, and http to this machine.

    Raises RequestInvalid for a URL that may not be told, GatewayUnavailable when no answer came in time.
    """
    parts = check_url(url, private=private)
    try:
        async with asyncio.timeout(ATTEMPT_SECONDS):
            reader, writer = await _connect(parts, private=private)
            try:
                return await _exchange(parts, headers, body, (reader, writer))
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError, UnicodeError, h11.ProtocolError) as failed:
        raise GatewayUnavailable(f"no answer ({type(failed).__name__})") from None


async def _connect(parts: SplitResult, *, private: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port, plainly = parts.hostname or "", parts.port or PORTS[parts.scheme], parts.scheme == "http"
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    inside = [one for one in addresses if not is_public(one)]
    if (inside and not private) or (plainly and not all(ip_address(one).is_loopback for one in addresses)):
        raise GatewayUnavailable("its address may not be told")
    tls, name = (None, None) if plainly else (_trusting(), host)
    for one in addresses[:-1]:
        try:
            return await asyncio.open_connection(one, port, ssl=tls, server_hostname=name)
        except OSError:
            continue  # the next address may answer
    return await asyncio.open_connection(addresses[-1], port, ssl=tls, server_hostname=name)


@cache
def _trusting() -> ssl.SSLContext:
    return ssl.create_default_context()


async def _exchange(
    parts: SplitResult,
    headers: Mapping[str, str],
    body: bytes,
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> int:
    reader, writer = streams
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=ANSWER_BYTES)
    own = {"host": parts.netloc, "content-length": str(len(body)), "connection": "close", "user-agent": "cdp"}
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = h11.Request(method="POST", target=target, headers=list((own | dict(headers)).items()))
    for event in (request, h11.Data(data=body), h11.EndOfMessage()):
        writer.write(connection.send(event) or b"")
    await writer.drain()
    while True:
        answer = connection.next_event()
        if isinstance(answer, h11.Response):
            return answer.status_code
        if answer is h11.NEED_DATA:
            connection.receive_data(await reader.read(ANSWER_BYTES))
