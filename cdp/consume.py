"""Events from streams: NATS JetStream and Kafka give each message at least once, the event's id makes that once.

A batch is asked for when the one before is written; it is done with, at the stream, after the commit. So nothing is
lost by a process that dies, and what it had written comes again as duplicates. A message that cannot be read goes to
the dead letters, and is done with too.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import structlog

from cdp.errors import RequestInvalid, Unavailable
from cdp.exchange import RECORDS, check_values, decoded
from cdp.ingest import Outcome, Writer, ingest
from cdp.outcome import rejected
from cdp.refused import bury_rejected
from cdp.values import pause_after

CONNECT_SECONDS: Final = 10.0
FETCH_SECONDS: Final = 2.0
ACK_SECONDS: Final = 60
"""After how long NATS gives a message again that nobody is done with."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0

log = structlog.get_logger()


class Message(NamedTuple):
    """What came, and how the stream knows it."""

    body: bytes
    handle: Any


class Stream(Protocol):
    """A stream, as one consumer of a group of them sees it."""

    async def fetch(self, most: int) -> Sequence[Message]:
        """The next messages, none where none came within a while. Raises Unavailable."""

    async def done(self, messages: Sequence[Message]) -> None:
        """They need not come again. Where that does not reach the stream they do, and are duplicates."""


class Source(NamedTuple):
    """Where events come from: the address of the servers, a stream (a topic, at Kafka) in it, the name by which the
    stream knows how far we are, and how many messages are taken at once. `secret` is USER:PASSWORD, or a token.
    """

    url: str
    stream: str
    durable: str
    most: int
    secret: str | None = None


def opened(source: Source) -> AbstractAsyncContextManager[Stream]:
    """The stream of a source; raises RequestInvalid for one that is none, Unavailable where nobody answers."""
    scheme = urlsplit(source.url).scheme
    if scheme not in _DRIVERS:
        raise RequestInvalid("STREAM_INVALID", f"a stream is at one of {', '.join(f'{name}://' for name in _DRIVERS)}")
    return _DRIVERS[scheme](source)


async def consume(stream: Stream, writer: Writer, source: Source, stop: asyncio.Event) -> Counter[str]:
    """Takes events in until it is told to stop, which the batch in hand is finished before; what became of them.

    Whatever is not there for a while, the stream or a store, is waited for.
    """
    counts, failed = Counter[str](), 0
    messages: Sequence[Message] = ()
    while not stop.is_set():
        try:
            messages = messages or await stream.fetch(source.most)
            if messages:
                counts.update(await _take_in(messages, writer, f"stream:{source.stream}"))
                await stream.done(messages)
            messages, failed = (), 0
        except Unavailable as unavailable:
            # What is in hand stays there: the stream may not give it again before it gives what comes after.
            failed += 1
            log.warning("stream waits", stream=source.stream, code=unavailable.code, failed=failed)
            await _pause(pause_after(failed, FIRST_PAUSE, LONGEST_PAUSE), stop)
    return counts


async def _take_in(messages: Sequence[Message], writer: Writer, source: str) -> list[str]:
    events: list[Any] = []
    unread: list[tuple[Any, Outcome]] = []
    for message in messages:
        try:
            found = decoded(message.body, RECORDS)
        except RequestInvalid as invalid:
            unread.append((message.body.decode(errors="backslashreplace"), rejected(invalid, None)))
            continue
        for one in found if isinstance(found, list) else [found]:
            try:
                check_values(one)
                events.append(one)
            except RequestInvalid as invalid:
                unread.append((one, rejected(invalid, None)))
    outcomes = await ingest(writer, events, source)
    await bury_rejected(writer, source, unread, writer.clock())
    return [outcome.status.lower() for outcome in (*outcomes, *(one for _, one in unread))]


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def _library(name: str, extra: str) -> Any:
    """A library that only those who read such a stream need; raises RequestInvalid where it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise RequestInvalid("STREAM_UNREADABLE", f"{name} is not installed: pip install '{extra}'") from None


# --- NATS JetStream ---------------------------------------------------------------------------------------------------


class NatsStream:
    """A durable pull consumer: the server keeps what was acknowledged, and gives the rest to whoever asks."""

    def __init__(self, connection: Any, subscription: Any) -> None:
        self._connection, self._subscription = connection, subscription
        self._errors = _library("nats.errors", "cdp")

    async def fetch(self, most: int) -> Sequence[Message]:
        try:
            found = await self._subscription.fetch(most, timeout=FETCH_SECONDS)
        except TimeoutError:
            return ()
        except self._errors.Error as wrong:
            raise Unavailable(f"NATS: {type(wrong).__name__}") from None
        return [Message(one.data, one) for one in found]

    async def done(self, messages: Sequence[Message]) -> None:
        try:
            for message in messages:
                await message.handle.ack()
            await self._connection.flush()
        except self._errors.Error as wrong:
            log.warning("stream not told", stream="NATS", error=type(wrong).__name__)


@asynccontextmanager
async def _nats(source: Source) -> AsyncIterator[Stream]:
    nats, errors = _library("nats", "cdp"), _library("nats.errors", "cdp")
    user, _, password = (source.secret or "").partition(":")
    secret = {"user": user, "password": password} if password else {"token": user} if user else {}

    async def note(error: Exception) -> None:
        log.warning("stream disturbed", stream=source.stream, error=type(error).__name__)

    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await nats.connect(
                source.url, name="cdp", error_cb=note, max_reconnect_attempts=-1, allow_reconnect=True, **secret
            )
    except (errors.Error, OSError, TimeoutError) as wrong:
        raise Unavailable(f"NATS: cannot connect ({type(wrong).__name__})") from None
    try:
        yield NatsStream(connection, await _pull(connection, source))
    finally:
        await connection.close()


async def _pull(connection: Any, source: Source) -> Any:
    """The durable consumer, made where it is not there yet."""
    api, failures = _library("nats.js.api", "cdp"), _library("nats.js.errors", "cdp")
    stream, wanted = (
        connection.jetstream(),
        api.ConsumerConfig(
            durable_name=source.durable,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=ACK_SECONDS,
            max_ack_pending=2 * source.most,
        ),
    )
    try:
        try:
            found = await stream.consumer_info(source.stream, source.durable)
        except failures.NotFoundError:
            found = await stream.add_consumer(source.stream, wanted)
    except failures.NotFoundError:
        raise RequestInvalid("STREAM_UNKNOWN", "no stream is called so at this server") from None
    except failures.Error as wrong:
        raise Unavailable(f"JetStream: {type(wrong).__name__}") from None
    if found.config.deliver_subject or found.config.ack_policy != api.AckPolicy.EXPLICIT:
        raise RequestInvalid("CONSUMER_INVALID", "expected a pull consumer whose messages are acknowledged each")
    return await stream.pull_subscribe_bind(source.durable, source.stream)


# --- Kafka ------------------------------------------------------------------------------------------------------------


class KafkaStream:
    """A member of a consumer group, which commits its offsets itself: never before the events are written."""

    def __init__(self, consumer: Any, failure: type[Exception]) -> None:
        self._consumer, self._failure = consumer, failure

    async def fetch(self, most: int) -> Sequence[Message]:
        try:
            found = await self._consumer.getmany(timeout_ms=int(FETCH_SECONDS * 1000), max_records=most)
        except self._failure as wrong:
            raise Unavailable(f"Kafka: {type(wrong).__name__}") from None
        return [
            Message(record.value or b"", (part, record.offset)) for part, records in found.items() for record in records
        ]

    async def done(self, messages: Sequence[Message]) -> None:
        offsets: dict[Any, int] = {}
        for message in messages:
            part, offset = message.handle
            offsets[part] = max(offsets.get(part, 0), offset + 1)
        try:
            await self._consumer.commit(offsets)
        except self._failure as wrong:
            log.warning("stream not told", stream="Kafka", error=type(wrong).__name__)


@asynccontextmanager
async def _kafka(source: Source) -> AsyncIterator[Stream]:
    kafka, failure = _library("aiokafka", "cdp[kafka]"), _library("aiokafka.errors", "cdp[kafka]").KafkaError
    user, _, password = (source.secret or "").partition(":")
    secret: dict[str, Any] = {}
    if password:
        context = _library("aiokafka.helpers", "cdp[kafka]").create_ssl_context()
        secret = {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "ssl_context": context}
        secret |= {"sasl_plain_username": user, "sasl_plain_password": password}
    consumer = kafka.AIOKafkaConsumer(
        source.stream,
        bootstrap_servers=urlsplit(source.url).netloc,
        group_id=source.durable,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **secret,
    )
    try:
        await consumer.start()
        yield KafkaStream(consumer, failure)
    except failure as wrong:
        raise Unavailable(f"Kafka: cannot connect ({type(wrong).__name__})") from None
    finally:
        await consumer.stop()


_DRIVERS: Final[Mapping[str, Callable[[Source], AbstractAsyncContextManager[Stream]]]] = {
    "nats": _nats,
    "tls": _nats,
    "kafka": _kafka,
}
