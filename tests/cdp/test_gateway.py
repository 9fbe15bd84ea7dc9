"""Messages to customers: taken whole or not at all, kept from other eyes, and nothing of them in a log or an error."""

import asyncio
import io
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from stat import S_IMODE
from typing import Any, ClassVar

import pytest
import structlog

from cdp.errors import GatewayUnavailable, SettingsInvalid
from cdp.gateway import HttpGateway, Outgoing, SpoolGateway
from cdp.logs import configure_logs

NUMBER, TEXT, TOKEN = "+8613800138000", "验证码 314159", "hunter2"


class Desk(BaseHTTPRequestHandler):
    """A gateway that remembers what it was told and answers as it is set to."""

    told: ClassVar[list[dict[str, Any]]] = []
    status: ClassVar[int] = 202

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.told.append({"path": self.path, "authorization": self.headers["authorization"], **body})
        self.send_response(self.status)
        self.send_header("location", "http://127.0.0.1:1/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    Desk.told.clear()
    Desk.status = 202
    server = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/messages"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers, root.level
    configure_logs("DEBUG", stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_a_spooled_message_is_one_file_for_its_owner_alone(tmp_path: Path) -> None:
    spool = SpoolGateway(tmp_path / "messages", "test")
    await spool.send(NUMBER, "first", "m-1")
    await spool.send(NUMBER, TEXT, "m-2")

    files = sorted((tmp_path / "messages").iterdir())
    assert [json.loads(file.read_text()) for file in files] == [
        {"number": NUMBER, "text": "first", "id": "m-1"},
        {"number": NUMBER, "text": TEXT, "id": "m-2"},
    ]
    assert [S_IMODE(path.stat().st_mode) for path in (tmp_path / "messages", *files)] == [0o700, 0o600, 0o600]
    assert [file.name for file in files if NUMBER[1:] in file.name] == []


@pytest.mark.parametrize("environment", ["production", " Production "])
def test_messages_as_files_are_refused_in_production(tmp_path: Path, environment: str) -> None:
    with pytest.raises(SettingsInvalid, match="CDP_GATEWAY_URL"):
        SpoolGateway(tmp_path / "messages", environment)
    assert [*tmp_path.iterdir()] == []


async def test_a_spool_that_cannot_be_written_says_so_without_the_message(tmp_path: Path) -> None:
    (tmp_path / "messages").write_text("in the way")
    with pytest.raises(GatewayUnavailable) as failed:
        await SpoolGateway(tmp_path / "messages", "test").send(NUMBER, TEXT, "m-1")
    assert str(failed.value) == "the message could not be written (FileExistsError)"
    assert failed.value.__cause__ is None


async def test_a_message_is_posted_with_the_token(url: str) -> None:
    await HttpGateway(url, TOKEN).send(NUMBER, TEXT, "m-1")
    await HttpGateway(url, None).send(NUMBER, "second", "m-2")

    told = {"path": "/messages", "to": NUMBER}
    assert Desk.told == [
        told | {"authorization": f"Bearer {TOKEN}", "text": TEXT, "id": "m-1"},
        told | {"authorization": None, "text": "second", "id": "m-2"},
    ]


@pytest.mark.parametrize("status", [302, 401, 500])
async def test_whatever_is_no_yes_is_a_failure(url: str, status: int) -> None:
    Desk.status = status
    with pytest.raises(GatewayUnavailable) as failed:
        await HttpGateway(url, TOKEN).send(NUMBER, TEXT, "m-1")
    assert [word for word in (NUMBER[1:], "314159", TOKEN, "127.0.0.1") if word in str(failed.value)] == []
    assert len(Desk.told) == 1


async def test_a_gateway_that_is_not_there_fails_soon() -> None:
    async with asyncio.timeout(5):
        with pytest.raises(GatewayUnavailable):
            await HttpGateway("http://127.0.0.1:1/", TOKEN, seconds=0.5).send(NUMBER, TEXT, "m-1")


class Slow:
    """A gateway that takes its time, and fails where it is told to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails, self.sent, self.ids = fails, list[tuple[str, str]](), set[str]()

    async def send(self, number: str, text: str, message_id: str) -> None:
        await asyncio.sleep(0.01)
        if self.fails:
            raise GatewayUnavailable("no")
        self.sent.append((number, text))
        self.ids.add(message_id)


async def test_nobody_waits_for_a_message_but_closing_does() -> None:
    gateway = Slow()
    outgoing = Outgoing(gateway)
    for _ in range(2):
        outgoing.hand_over("link code", NUMBER, TEXT)
    assert gateway.sent == []
    await outgoing.close()
    assert gateway.sent == [(NUMBER, TEXT)] * 2
    assert len(gateway.ids) == 2
    await outgoing.close()


async def test_a_message_that_fails_is_one_line_without_number_and_text(lines: io.StringIO) -> None:
    outgoing = Outgoing(Slow(fails=True))
    outgoing.hand_over("link code", NUMBER, TEXT)
    await outgoing.close()
    [line] = [json.loads(line) for line in lines.getvalue().splitlines() if "message" in line]
    assert (line["event"], line["kind"], line["code"]) == ("message not sent", "link code", "GATEWAY_UNAVAILABLE")
    assert [word for word in (NUMBER[1:], "314159") if word in lines.getvalue()] == []
