"""Events from streams: once, whatever dies when; nothing that cannot be read holds up the rest."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.consume import KafkaStream, Message, Source, Stream, consume, opened
from cdp.errors import RequestInvalid, StoreUnavailable, Unavailable
from cdp.ingest import Writer
from cdp.settings import Settings
from tests.cdp.doors import everything, rows
from tests.cdp.nats_server import nats_server
from tests.cdp.samples import SAMPLES, event

nats, api = pytest.importorskip("nats"), pytest.importorskip("nats.js.api")
STREAM, DURABLE = "events", "cdp"
REGISTERED = SAMPLES["CustomerRegistered"]
KEYS = {"CDP_KMS": "file:keys"}
"""Where the write door of the tests has them."""


def used(number: int) -> dict[str, Any]:
    return event("UsageRecorded", 3, usageType="SMS", quantity="1", units="messages", eventId=f"u-{number}")


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with nats_server(tmp_path / "streams") as url:
        yield url


@asynccontextmanager
async def jetstream(url: str) -> AsyncIterator[Any]:
    connection = await nats.connect(url)
    yield connection.jetstream()
    await connection.close()


async def publish(url: str, *messages: Any) -> None:
    async with jetstream(url) as stream:
        await stream.add_stream(name=STREAM, subjects=["said"])
        for message in messages:
            await stream.publish("said", message if isinstance(message, bytes) else json.dumps(message).encode())


async def left(url: str) -> tuple[int, int]:
    """How many messages nobody was given, and how many nobody is done with."""
    async with jetstream(url) as stream:
        found = await stream.consumer_info(STREAM, DURABLE)
    return found.num_pending or 0, found.num_ack_pending or 0


class Counted:
    """A stream that ends the consumer when nothing comes any more."""

    def __init__(self, stream: Stream, stop: asyncio.Event) -> None:
        self._stream, self._stop = stream, stop
        self.most = 0

    async def fetch(self, most: int) -> Sequence[Message]:
        found = await self._stream.fetch(most)
        self.most = max(self.most, len(found))
        if not found:
            self._stop.set()
        return found

    async def done(self, messages: Sequence[Message]) -> None:
        await self._stream.done(messages)


async def drained(stream: Stream, writer: Writer, most: int = 10) -> Counter[str]:
    stop = asyncio.Event()
    counted = Counted(stream, stop)
    counts = await consume(counted, writer, Source("", STREAM, DURABLE, most), stop)
    assert counted.most <= most
    return counts


async def known(writer: Writer, table: str) -> None:
    """Waits until a table has a row."""
    async with asyncio.timeout(60):
        while not await rows(writer.stores["cn"], table):  # noqa: ASYNC110 - another process may write it
            await asyncio.sleep(0.1)


async def test_a_stream_is_taken_in_and_what_cannot_be_read_holds_nothing_up(url: str, writer: Writer) -> None:
    bad = [b"\xff", b"{", b"[" * 100_000, b'"text"', json.dumps({"eventId": "x\ud800"}).encode(), {"type": "None"}]
    await publish(url, REGISTERED, bad[0], [used(n) for n in range(30)], *bad[1:], *(used(n) for n in range(40)))
    async with opened(Source(url, STREAM, DURABLE, 10)) as stream:
        assert await drained(stream, writer) == {"accepted": 41, "duplicate": 30, "rejected": 6}
    assert await left(url) == (0, 0)
    assert len(await rows(writer.stores["cn"], "usage_record")) == 40
    assert len(await rows(writer.stores["cn"], "dead_letter")) == 6
    async with opened(Source(url, STREAM, DURABLE, 10)) as stream:
        assert await drained(stream, writer) == {}


async def test_a_process_that_dies_between_the_commit_and_the_ack_doubles_nothing(
    url: str, writer: Writer, settings: Settings
) -> None:
    await publish(url, REGISTERED, *(used(n) for n in range(5)))
    stores = json.dumps(settings.stores)
    own = {"CDP_HOME": str(settings.home), "CDP_STORES": stores, "CDP_ENVIRONMENT": "test"}
    program = (sys.executable, "-m", "tests.cdp.killed_consumer", url, STREAM, DURABLE)
    dead = await asyncio.create_subprocess_exec(*program, env=os.environ | own | KEYS)
    assert await dead.wait() == -signal.SIGKILL
    before = await everything(writer.stores["cn"])
    assert len(before["usage_record"]) == 5
    assert await left(url) == (0, 6)

    async with jetstream(url) as stream:
        # As after a minute: the server gives again what nobody was done with.
        found = await stream.consumer_info(STREAM, DURABLE)
        await stream.add_consumer(STREAM, replace(found.config, ack_wait=0.1))
        await asyncio.sleep(0.2)
    async with opened(Source(url, STREAM, DURABLE, 10)) as again:
        counts = await drained(again, writer)
    assert set(counts) == {"duplicate"}
    assert counts["duplicate"] >= 6
    assert await left(url) == (0, 0)
    assert await everything(writer.stores["cn"]) == before


async def test_a_server_that_comes_back_is_read_on(tmp_path: Path, writer: Writer) -> None:
    async with nats_server(tmp_path / "streams") as url:
        await publish(url, REGISTERED)
        stop = asyncio.Event()
        source = Source(url, STREAM, DURABLE, 10)
        reading = opened(source)
        task = asyncio.create_task(consume(await reading.__aenter__(), writer, source, stop))
        await known(writer, "customer")
    async with nats_server(tmp_path / "streams", int(url.rpartition(":")[2])):
        await publish(url, used(1))
        await known(writer, "usage_record")
        stop.set()
        assert (await task)["accepted"] == 2
        await reading.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("nats://127.0.0.1:1", "UNAVAILABLE"),
        ("amqp://127.0.0.1", "STREAM_INVALID"),
        ("kafka://h:1", "STREAM_UNREADABLE"),
    ],
)
async def test_a_stream_that_is_none_is_told(where: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiokafka", None)
    monkeypatch.setattr("cdp.consume.CONNECT_SECONDS", 0.5)
    with pytest.raises((RequestInvalid, Unavailable)) as refused:
        async with asyncio.timeout(20), opened(Source(where, STREAM, DURABLE, 10)):
            raise AssertionError("it was opened")
    assert refused.value.code == code


async def test_a_stream_or_consumer_that_does_not_fit_is_told(url: str) -> None:
    with pytest.raises(RequestInvalid) as unknown:
        async with opened(Source(url, "nothing", DURABLE, 10)):
            raise AssertionError("it was opened")
    await publish(url)
    async with jetstream(url) as stream:
        await stream.add_consumer(STREAM, api.ConsumerConfig(durable_name=DURABLE, ack_policy=api.AckPolicy.NONE))
    with pytest.raises(RequestInvalid) as unfit:
        async with opened(Source(url, STREAM, DURABLE, 10)):
            raise AssertionError("it was opened")
    assert (unknown.value.code, unfit.value.code) == ("STREAM_UNKNOWN", "CONSUMER_INVALID")


async def test_the_command_reads_until_it_is_told_to_end(url: str, writer: Writer, settings: Settings) -> None:
    await publish(url, REGISTERED, used(1), REGISTERED | {"region": "HK"})
    own = {"CDP_HOME": str(settings.home), "CDP_STORES": json.dumps(settings.stores), "CDP_ENVIRONMENT": "test"}
    told = ("consume", url, "--stream", STREAM, "--durable", DURABLE, "--store", "cn")
    piped = asyncio.subprocess.PIPE
    program = (sys.executable, "-m", "cdp", *told)
    running = await asyncio.create_subprocess_exec(*program, env=os.environ | own | KEYS, stdout=piped)
    await known(writer, "usage_record")
    await known(writer, "dead_letter")
    running.terminate()
    said, _ = await running.communicate()
    assert (running.returncode, json.loads(said)) == (0, {"accepted": 2, "rejected": 1})
    assert not any((await everything(writer.stores["hk"])).values())


# --- Kafka: the driver against a group of one that behaves as aiokafka's consumer does; no broker is to be had here ---


class Part(NamedTuple):
    topic: str
    partition: int


class Kept(NamedTuple):
    offset: int
    value: bytes | None


class Failed(Exception):
    """What the library raises."""


class Group:
    """Two partitions; a consumer begins at what is committed, reads on, and commits when it is told."""

    def __init__(self, *values: bytes | None) -> None:
        self.parts = [Part("t", n) for n in range(2)]
        self.log = {
            part: [Kept(n, value) for n, value in enumerate(values[part.partition :: 2])] for part in self.parts
        }
        self.committed = dict.fromkeys(self.parts, 0)
        self.start()
        self.fails = 0

    def start(self) -> None:
        self.position = dict(self.committed)

    async def getmany(self, timeout_ms: int, max_records: int) -> Mapping[Part, Sequence[Kept]]:
        found: dict[Part, Sequence[Kept]] = {}
        for part in self.parts:
            found[part] = self.log[part][self.position[part] :][:max_records]
            self.position[part] += len(found[part])
            max_records -= len(found[part])
        return {part: records for part, records in found.items() if records}

    async def commit(self, offsets: Mapping[Part, int]) -> None:
        if self.fails:
            self.fails -= 1
            raise Failed
        self.committed |= offsets


async def test_kafka_commits_what_is_written_and_reads_it_again_where_it_did_not(writer: Writer) -> None:
    said = [json.dumps(one).encode() for one in (REGISTERED, used(0), used(1), used(2), used(3))]
    group = Group(said[0], None, *said[1:])
    group.fails = 99
    assert await drained(KafkaStream(group, Failed), writer, 2) == {"accepted": 5, "rejected": 1}
    assert set(group.committed.values()) == {0}
    group.start()
    group.fails = 0
    assert await drained(KafkaStream(group, Failed), writer, 2) == {"duplicate": 5, "rejected": 1}
    assert set(group.committed.values()) == {3}
    assert len(await rows(writer.stores["cn"], "usage_record")) == 4


async def test_what_no_store_takes_stays_in_hand(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    group, tries = Group(json.dumps(REGISTERED).encode(), None, json.dumps(used(0)).encode()), [0]
    real = type(writer.stores["cn"]).transaction

    def transaction(self: Any) -> Any:
        tries[0] += 1
        if tries[0] <= 2:
            assert set(group.committed.values()) == {0}
            raise StoreUnavailable("cn", "gone")
        return real(self)

    monkeypatch.setattr("cdp.consume.LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(type(writer.stores["cn"]), "transaction", transaction)
    assert await drained(KafkaStream(group, Failed), writer, 10) == {"accepted": 2, "rejected": 1}
    assert sum(group.committed.values()) == 3


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.integers(1, 5))
def test_no_offset_is_committed_beyond_what_came(kinds: list[bool], most: int) -> None:
    group = Group(*(b"x" if kind else None for kind in kinds))

    async def read() -> None:
        stream = KafkaStream(group, Failed)
        while messages := await stream.fetch(most):
            assert len(messages) <= most
            await stream.done(messages)
            assert group.committed == group.position

    asyncio.run(read())
    assert sum(group.committed.values()) == len(kinds)
