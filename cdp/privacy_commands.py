"""Commands about people's rights: what is handed out, erased, and kept for how long."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cdp.archive import export
from cdp.erasure.expire import expire, expired
from cdp.erasure.sweep import certificate_of
from cdp.errors import RequestInvalid
from cdp.global_ids import read_id
from cdp.house import open_house
from cdp.serving import run
from cdp.terminal import StoreNames, chosen_stores, output, progress, settings_of_command, table
from cdp.worker import replay_ledgers
from privacy.vocabulary import SELF

privacy_group = typer.Typer(help="What people ask about their own data, and how long it is kept.", no_args_is_help=True)

RequestId = Annotated[str, typer.Option("--request", help="Opaque id of the request, as the queue tells it.")]


@privacy_group.command("export")
def privacy_export_command(
    request: RequestId,
    file: Annotated[Path, typer.Argument(help="Archive to be made (ZIP); must not be there yet.", dir_okay=False)],
) -> None:
    """Write all that is held of a person for their request for access or portability, and complete the request."""
    settings = settings_of_command()

    async def write() -> str:
        async with open_house(settings) as house:
            return await export(house, request, file)

    typer.echo(f"{run(write())}  {file.name}")


@privacy_group.command("certificate")
def privacy_certificate_command(request: RequestId) -> None:
    """Print the signed certificate of an erasure; fails where it is not as it was signed."""
    settings = settings_of_command()

    async def read() -> str | None:
        async with open_house(settings) as house:
            place = read_id(house.tokens, SELF, request)
            if place is None or place.store not in house.stores:
                return None
            async with house.stores[place.store].read() as connection:
                return await certificate_of(connection, place.customer_id, house.rings[place.store])

    if (certificate := run(read())) is None:
        raise RequestInvalid("CERTIFICATE_ABSENT", "no erasure of this request is certified, or not as it was signed")
    typer.echo(certificate)


@privacy_group.command("replay-ledger")
def privacy_replay_ledger_command() -> None:
    """Erase again whoever a restored store, or a restored store of keys, has forgotten to have erased. `cdp serve` and
    `cdp worker` do so first: restore while they are stopped.
    """
    settings = settings_of_command()

    async def replay() -> dict[str, int]:
        async with open_house(settings) as house:
            return await replay_ledgers(house)

    output().print(table("Erased again", ("store", "customers"), run(replay()).items()))


@privacy_group.command("retention")
def privacy_retention_command(
    store: StoreNames = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
) -> None:
    """Delete what is kept for longer than its term; prints per table how many rows go."""
    settings = settings_of_command()
    now = datetime.now(UTC)

    async def keep_terms() -> list[tuple[str, str, int]]:
        async with open_house(settings) as house:
            chosen = [house.stores[name] for name in chosen_stores(settings, store)]
            found = [(one, await expired(one, now)) for one in chosen]
            if not dry_run:
                with progress(output()) as bars:
                    for one, counts in found:
                        task = bars.add_task(one.name, total=sum(counts.values()))
                        await expire(one, house.rings[one.name], now, partial(bars.advance, task))
            return [(one.name, name, count) for one, counts in found for name, count in counts.items() if count]

    title = "Would go" if dry_run else "Went"
    output().print(table(title, ("store", "table", "rows"), run(keep_terms())))
