"""POSTs go out to public addresses alone, to the one that was looked at, and never on from there."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from cdp.errors import GatewayUnavailable, RequestInvalid
from cdp.webhooks.post import check_url, is_public, post

INSIDE = (
    *("127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "198.18.0.1", "192.0.2.1", "240.0.0.1"),  # noqa: S104
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::10.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:1::1"),
)
OUTSIDE = ("8.8.8.8", "1.1.1.1", "203.119.25.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_outside_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/", "ftp://example.com/", "https:///path", "https://", "https://u:p@example.com/"),
        *("https://example.com/#x", "https://example.com:99999/", "https://exa mple.com/", "https://例.com/", "", "x"),
        *("https://example.com/\r\nx: y", "https://[::1", f"https://example.com/{'x' * 2000}", "https://a:0/"),
        *(
            "https://127.0.0.1/",
            "https://[::1]:8443/",
            "https://10.0.0.1/",
            "https://169.254.169.254/",
            "https://LOCALHOST/",
        ),
    ],
)
def test_a_url_that_may_not_be_told_is_refused(url: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        check_url(url, private=False)
    assert refused.value.code == "WEBHOOK_URL"


@asynccontextmanager
async def server(answer: bytes, seen: list[bytes]) -> AsyncIterator[int]:
    """A server on this machine that notes what it was sent and gives that answer; its port."""
    talking: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking.append(writer)
        with suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            seen.append(head + await reader.readexactly(length))
            writer.write(answer)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]
        await _closed(talking)


async def _closed(talking: list[asyncio.StreamWriter]) -> None:
    """Ends what a server has open: what is left to the collector ends in somebody else's test."""
    for writer in talking:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"])
async def test_this_machine_is_told_nothing(host: str) -> None:
    seen: list[bytes] = []
    async with server(b"HTTP/1.1 200 OK\r\n\r\n", seen) as port:
        with pytest.raises((GatewayUnavailable, RequestInvalid)):
            await post(f"https://{host}:{port}/", {}, b"{}", private=False)
    assert seen == []


async def test_it_goes_to_the_address_that_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is asked for once; of several addresses one inside is enough to refuse all of them."""
    asked: list[str] = []
    connected: list[str] = []
    answers: list[list[str]] = [["8.8.8.8"], ["8.8.8.8", "10.0.0.1"]]

    async def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        family = socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (one, port)) for one in answers[len(asked) - 1]]

    async def connect(host: str, port: int, **how: Any) -> Any:
        connected.append(f"{host}:{port} as {how['server_hostname']}")
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve, raising=False)
    monkeypatch.setattr("cdp.webhooks.post.asyncio.open_connection", connect)
    for _ in range(2):
        with pytest.raises(GatewayUnavailable):
            await post("https://hooks.example/x", {}, b"{}", private=False)
    assert asked == ["hooks.example"] * 2
    assert connected == ["8.8.8.8:443 as hooks.example"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\nx", 200),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n", 302),
        (b"HTTP/1.0 500 No\r\n\r\n", 500),
    ],
)
async def test_the_status_is_all_that_is_read(answer: bytes, status: int) -> None:
    seen: list[bytes] = []
    async with server(answer, seen) as port:
        found = await post(f"http://localhost:{port}/in?a=b", {"webhook-id": "m"}, b'{"a":1}', private=True)
    assert found == status
    (request,) = seen
    assert request.startswith(b"POST /in?a=b HTTP/1.1\r\n")
    assert request.endswith(b'\r\n\r\n{"a":1}')
    assert f"host: localhost:{port}".encode() in request.lower()


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000])
async def test_what_is_no_answer_is_none(answer: bytes) -> None:
    async with server(answer, []) as port:
        with pytest.raises(GatewayUnavailable):
            await post(f"http://127.0.0.1:{port}/", {}, b"{}", private=True)


async def test_a_receiver_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdp.webhooks.post.ATTEMPT_SECONDS", 0.05)

    talking: list[asyncio.StreamWriter] = []

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking.append(writer)

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(GatewayUnavailable, match="TimeoutError"):
            await post(f"http://127.0.0.1:{port}/", {}, b"{}", private=True)
        await _closed(talking)


async def test_plain_http_leaves_this_machine_for_nobody() -> None:
    with pytest.raises(GatewayUnavailable, match="may not be told"):
        await post("http://10.1.2.3/", {}, b"{}", private=True)
