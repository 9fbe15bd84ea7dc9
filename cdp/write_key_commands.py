"""Commands about write keys: by which a client of ours sends events."""

import re
from datetime import UTC, datetime
from typing import Annotated

import typer

from cdp.errors import RequestInvalid
from cdp.event import WORD
from cdp.house import open_databases
from cdp.serving import run
from cdp.terminal import StoreNames, chosen_stores, output, settings_of_command, table
from cdp.values import valid_region
from cdp.write_keys import WriteKey, list_write_keys, new_write_key, revoke_write_key

write_key_group = typer.Typer(
    help="Write keys: `cdp write-key --client NAME` makes one.", invoke_without_command=True, no_args_is_help=True
)

Channel = Annotated[str, typer.Option(help="The channel its interactions are on, such as APP or WEB.")]
PerSecond = Annotated[int, typer.Option(min=1, help="How many events it may send a second.")]
PerDay = Annotated[int | None, typer.Option(min=1, help="How many events it may send a day (UTC); unset: any number.")]


@write_key_group.callback()
def write_key_command(  # noqa: PLR0913 -- a command has as many options as it has
    context: typer.Context,
    *,
    client: Annotated[str | None, typer.Option(help="Name of the client, one of ours.")] = None,
    region: Annotated[str | None, typer.Option(help="Region of its customers; by default the first store's.")] = None,
    channel: Channel = "APP",
    per_second: PerSecond = 1000,
    per_day: PerDay = None,
) -> None:
    """Make a key and print it, this once: the store keeps its hash alone."""
    if context.invoked_subcommand is not None:
        return
    if not client:
        raise typer.BadParameter("expected the name of a client", param_hint="--client")
    if not re.fullmatch(WORD, channel := channel.upper()):
        raise typer.BadParameter("expected a word such as APP or CALL_CENTRE", param_hint="--channel")
    settings = settings_of_command()
    region = region or settings.jurisdiction_of(settings.store_names[0])
    if not (valid_region(region) or region == "CN"):
        raise RequestInvalid("REGION_UNKNOWN", "no store keeps this region")
    name, key = settings.store_of(region), WriteKey(client, region, channel, per_second, per_day)

    async def make() -> str:
        async with open_databases(settings) as stores:
            return await new_write_key(stores[name], key, datetime.now(UTC))

    typer.echo(run(make()))
    typer.echo(f"client {client}, region {region}, store {name}, channel {key.channel}", err=True)


@write_key_group.command("list")
def write_key_list_command(store: StoreNames = None) -> None:
    """Show the keys of each store, without their secrets."""
    settings = settings_of_command()

    async def read() -> list[tuple[object, ...]]:
        async with open_databases(settings) as stores:
            return [
                (name, one.key_id, *one.key[:4], one.key.per_day or "", one.made_at, one.revoked_at or "")
                for name in chosen_stores(settings, store)
                for one in await list_write_keys(stores[name])
            ]

    names = ("store", "id", "client", "region", "channel", "a second", "a day", "made (UTC)", "revoked (UTC)")
    output().print(table("Write keys", names, run(read())))


@write_key_group.command("revoke")
def write_key_revoke_command(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `cdp write-key list` tells it.")],
) -> None:
    """End a key: servers take nothing by it any more half a minute later."""
    settings = settings_of_command()

    async def end() -> list[str]:
        async with open_databases(settings) as stores:
            return [
                one for store in stores.values() for one in await revoke_write_key(store, key_id, datetime.now(UTC))
            ]

    if not (ended := run(end())):
        raise RequestInvalid("WRITE_KEY_UNKNOWN", "no key that still writes has this id")
    typer.echo(f"{key_id}: revoked, of client {ended[0]}")
