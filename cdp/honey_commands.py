"""Commands about honey: customers who are nobody, and the clients that opened one."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from cdp.house import open_databases, open_house
from cdp.identity.honey import lift_suspension, mark_honey, suspended_clients
from cdp.serving import run
from cdp.terminal import output, settings_of_command, table

honey_group = typer.Typer(help="Customers who are nobody: whoever opens one is suspended.", no_args_is_help=True)

Value = Annotated[str, typer.Argument(help="What the customer is known by.")]
Region = Annotated[str, typer.Option(help="The region of their records, such as CN-GD or HK.")]
Kind = Annotated[str, typer.Option(help="What that is: number, customerKey, accountNo, email or document.")]


@honey_group.command("mark")
def honey_mark_command(value: Value, region: Region, kind: Kind = "customerKey") -> None:
    """Make a customer honey: a made-up one, whom no client has a reason to open."""
    _mark(value, region, kind, honey=True)


@honey_group.command("unmark")
def honey_unmark_command(value: Value, region: Region, kind: Kind = "customerKey") -> None:
    """Make a customer one like any other again."""
    _mark(value, region, kind, honey=False)


def _mark(value: str, region: str, kind: str, *, honey: bool) -> None:
    settings = settings_of_command()

    async def mark() -> None:
        async with open_house(settings) as house:
            await mark_honey(house, (kind, value, region), datetime.now(UTC), honey=honey)

    run(mark())
    typer.echo("marked" if honey else "not marked any more")


@honey_group.command("clients")
def honey_clients_command() -> None:
    """Show the clients that are suspended because they opened one."""
    settings = settings_of_command()

    async def read() -> list[tuple[str, str, datetime]]:
        async with open_databases(settings) as stores:
            return await suspended_clients(stores)

    rows = [(store, client, f"{since:%Y-%m-%d %H:%M}") for store, client, since in run(read())]
    output().print(table("Suspended", ("store", "client", "since (UTC)"), rows))


@honey_group.command("lift")
def honey_lift_command(client: Annotated[str, typer.Argument(help="The client, as its tokens name it.")]) -> None:
    """Let a suspended client have answers again."""
    settings = settings_of_command()

    async def lift() -> None:
        async with open_house(settings) as house:
            await lift_suspension(house, client)

    run(lift())
    typer.echo(f"{client}: lifted")
