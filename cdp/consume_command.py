"""The command that reads events from a stream."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Annotated

import typer

from cdp.app import writer_of
from cdp.consume import Source, consume, opened
from cdp.house import open_house
from cdp.serving import run
from cdp.terminal import check_known, json_line, settings_of_command
from cdp.worker import stop_on_signals


def consume_command(
    url: Annotated[str, typer.Argument(help="Where it is: nats://HOST:4222, tls://HOST:4222, kafka://HOST:9092.")],
    *,
    stream: Annotated[str, typer.Option(help="The stream; at Kafka, the topic.")],
    durable: Annotated[str, typer.Option(help="Our name there: consumers of one name share the messages.")],
    batch: Annotated[int, typer.Option(min=2, max=5000, help="How many messages are taken at once.")] = 500,
    store: Annotated[str | None, typer.Option(help="Events of this store alone; others are refused.")] = None,
) -> None:
    """Take in events from NATS JetStream or Kafka until SIGTERM: one event of JSON a message, or a list of them."""
    settings = settings_of_command(serving=True)
    check_known("store", [store] if store else [], settings.store_names)
    source = Source(url, stream, durable, batch, settings.stream_secret)

    async def until_told() -> Counter[str]:
        stop = asyncio.Event()
        stop_on_signals(stop)
        async with open_house(settings, settings.start_seconds) as house, opened(source) as found:
            writer = writer_of(house)
            if store is not None:
                only = {store: house.stores[store]}
                writer = replace(writer, stores=only, rings={store: house.rings[store]})
            return await consume(found, writer, source, stop)

    typer.echo(json_line(run(until_told())))
