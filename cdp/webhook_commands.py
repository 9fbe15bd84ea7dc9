"""Commands about webhooks: who is told what, whether they take it, and telling them again."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID, uuid4

import typer

from cdp.app import check_delivered_document
from cdp.auth import SELF
from cdp.care.opening import BY_ITSELF
from cdp.documents import register_document
from cdp.errors import RequestInvalid
from cdp.house import House, open_databases, open_house
from cdp.ingest import EVENTS
from cdp.outbox import START
from cdp.positions import places_in, position_text
from cdp.serving import run
from cdp.settings import Settings
from cdp.stores import Connection, Stores
from cdp.terminal import FILE, StoreNames, check_known, chosen_stores, json_line, settings_of_command, text_of
from cdp.webhooks.endpoints import (
    Endpoint,
    add_endpoint,
    enable,
    endpoint_rows,
    new_secret,
    reader_of,
    remove,
    rewind,
)
from cdp.webhooks.post import check_url
from privacy.vocabulary import RecipientClass

webhooks_group = typer.Typer(help="Webhooks: who is told what happens.", no_args_is_help=True)

Result = TypeVar("Result")

EndpointId = Annotated[UUID, typer.Argument(help="The endpoint's id.")]


@webhooks_group.command("add")
def webhooks_add_command(  # noqa: PLR0913 -- a command has as many options as it has
    *,
    url: Annotated[str, typer.Option(help="Where messages are POSTed: https.")],
    client: Annotated[str, typer.Option(help="As which client the document is run.")],
    document: Annotated[Path, typer.Option(help="A query of $id with its purpose, which is registered.", **FILE)],
    event: Annotated[list[str], typer.Option(help="The name of an event to be told; may be repeated.")],
    legal_entity: Annotated[str, typer.Option(help="The recipient; unset: the operator itself.")] = SELF,
    recipient_class: Annotated[
        RecipientClass | None, typer.Option(help="What that is to the operator; unset: a third party.")
    ] = None,
    store: StoreNames = None,
) -> None:
    """Tell an endpoint what happens from now on. Prints its id, and once its secret."""
    settings = settings_of_command()
    check_known("event", event, (*EVENTS, *BY_ITSELF))
    check_url(url, private=settings.webhook_private)
    kind = recipient_class or (RecipientClass.SELF if legal_entity == SELF else RecipientClass.THIRD_PARTY)
    if (kind is RecipientClass.SELF) != (legal_entity == SELF):
        raise RequestInvalid("RECIPIENT_INVALID", "recipient-class: expected SELF for the operator itself alone")
    source, stores = text_of(document), tuple(chosen_stores(settings, store))
    drafted = Endpoint(uuid4(), url, client, legal_entity, kind, "", "", stores, frozenset(event), "")
    purpose = check_delivered_document(source, drafted.caller)

    async def add(house: House) -> str:
        now = datetime.now(UTC)
        digest = await register_document(house.stores.values(), document.stem, source, now)
        shown, sealed = new_secret(house.tokens, drafted.endpoint_id)
        made = replace(drafted, purpose=purpose, document=digest, secret=sealed)
        for name in stores:
            async with house.stores[name].transaction() as connection:
                await add_endpoint(connection, made, now)
        return shown

    typer.echo(f"{drafted.endpoint_id} {run(_in_house(settings, add))}")


@webhooks_group.command("list")
def webhooks_list_command(store: StoreNames = None) -> None:
    """Print who is told, whether they take it, and how far they have come, as one JSON object a line."""
    settings = settings_of_command()
    names = chosen_stores(settings, store)

    async def rows(house: House) -> list[dict[str, object]]:
        found = []
        for name in names:
            async with house.stores[name].read() as connection:
                found += [_shown(house, name, one) for one in await endpoint_rows(connection)]
        return found

    for row in run(_in_house(settings, rows)):
        typer.echo(json_line(row))


@webhooks_group.command("enable")
def webhooks_enable_command(endpoint: EndpointId, store: StoreNames = None) -> None:
    """Tell an endpoint again that was disabled, from where it was."""
    _each(store, lambda connection, now: enable(connection, endpoint, now))


@webhooks_group.command("remove")
def webhooks_remove_command(endpoint: EndpointId, store: StoreNames = None) -> None:
    """Forget an endpoint and how far it came."""
    _each(store, lambda connection, _: remove(connection, endpoint))


@webhooks_group.command("replay")
def webhooks_replay_command(
    endpoint: EndpointId,
    start: Annotated[str, typer.Option("--from", help="A `position` of a message, or of `cdp webhooks list`.")],
) -> None:
    """Tell an endpoint once more what came after a position; messages keep their ids."""
    settings = settings_of_command()

    async def replay(house: House) -> None:
        for name, place in places_in(house.tokens, reader_of(endpoint), start).items():
            async with house.stores[name].transaction() as connection:
                await rewind(connection, endpoint, place, datetime.now(UTC))

    run(_in_house(settings, replay))


def _shown(house: House, store: str, row: Any) -> dict[str, object]:
    place = START._replace(written=row["written"])
    position = position_text(house.tokens, reader_of(row["endpoint_id"]), {store: place}, datetime.now(UTC))
    told: dict[str, object] = {"store": store, "position": position}
    for name, value in row.items():
        if value is not None and name != "written":
            told[name] = value if isinstance(value, int | list) else str(value)
    return told


def _each(store: list[str] | None, change: Callable[[Connection, datetime], Awaitable[None]]) -> None:
    """Changes an endpoint in each of these stores that has it. Raises RequestInvalid NOT_FOUND where none does."""
    settings = settings_of_command()
    names = chosen_stores(settings, store)

    async def changed(stores: Stores) -> int:
        found = 0
        for name in names:
            with suppress(RequestInvalid):
                async with stores[name].transaction() as connection:
                    await change(connection, datetime.now(UTC))
                    found += 1
        return found

    if run(_in_stores(settings, changed)) == 0:
        raise RequestInvalid("NOT_FOUND", "no endpoint has this id in these stores")


async def _in_stores(settings: Settings, work: Callable[[Stores], Awaitable[Result]]) -> Result:
    async with open_databases(settings) as stores:
        return await work(stores)


async def _in_house(settings: Settings, work: Callable[[House], Awaitable[Result]]) -> Result:
    async with open_house(settings) as house:
        return await work(house)
