"""Commands about what the operator sells, and the best of it for everyone."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cdp.advise import advise
from cdp.billing.catalogue import load_catalogue, read_catalogue
from cdp.house import open_databases, open_house
from cdp.serving import run
from cdp.terminal import FILE, StoreNames, chosen_stores, output, progress, settings_of_command, table
from cdp.values import money_text

catalogue_group = typer.Typer(help="What the operator sells, and how it bills.", no_args_is_help=True)
SHOWN = """
SELECT tariff_id, name, region, rating_type, monthly_fee_minor, currency, withdrawn_on FROM tariff ORDER BY 3, 4, 5, 1
"""


@catalogue_group.command("load")
def catalogue_load_command(
    file: Annotated[Path, typer.Argument(help="TOML file as at the top of cdp/billing/catalogue.py.", **FILE)],
    store: StoreNames = None,
) -> None:
    """Put tariffs, kinds of charges and terms of arrears into the stores; what the file does not name stays.

    A file with a mistake changes nothing.
    """
    settings, catalogue = settings_of_command(), read_catalogue(file)
    names = chosen_stores(settings, store)

    async def load() -> None:
        async with open_databases(settings) as stores:
            await load_catalogue([stores[name] for name in names], catalogue)

    run(load())
    counts = (
        ("tariffs", len(catalogue.tariffs)),
        ("charges", len(catalogue.charges)),
        ("arrears", len(catalogue.arrears)),
    )
    output().print(table(f"{file.name} into {', '.join(names)}", ("what", "number"), counts))


@catalogue_group.command("show")
def catalogue_show_command(store: StoreNames = None) -> None:
    """Show the tariffs of the stores."""
    settings = settings_of_command()

    async def read() -> list[tuple[str, ...]]:
        rows = []
        async with open_databases(settings) as stores:
            for name in chosen_stores(settings, store):
                async with stores[name].read() as connection:
                    rows += [(name, *row) for row in await connection.fetch(SHOWN)]
        return [
            (name, *found[:4], money_text(found[4], found[5]), found[5], str(found[6] or "")) for name, *found in rows
        ]

    columns = ("store", "tariff", "name", "region", "paid", "fee", "currency", "withdrawn")
    output().print(table("Tariffs", columns, run(read())))


def advise_tariffs_command(
    region: Annotated[str, typer.Option(help="Whose customers, such as CN-GD or HK.")],
) -> None:
    """Price every tariff on the last six months of every customer of a region, and keep who would have paid less.

    Each customer is read for their care, as every answer is: with their consent, and written down.
    """
    settings = settings_of_command()

    async def price() -> dict[str, int]:
        async with open_house(settings) as house:
            with progress(Console(stderr=True)) as bars:
                return await advise(house, region, bars)

    counts = run(price())
    rows = [
        (what, money_text(count, what.partition(" ")[2]) if what.startswith("saving ") else f"{count:,}")
        for what, count in counts.items()
    ]
    output().print(table(f"Tariffs of {region}", ("what", "number"), rows))
