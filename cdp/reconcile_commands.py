"""Commands that hold what should be against what is reported."""

from typing import Annotated

import typer

from cdp.house import open_databases
from cdp.reconcile.services import Reconciled, reconcile_services
from cdp.serving import run
from cdp.terminal import StoreNames, chosen_stores, instant_of, output, settings_of_command, table

reconcile_group = typer.Typer(help="What should be, against what is: what is wrong is found.", no_args_is_help=True)


@reconcile_group.command("services")
def reconcile_services_command(
    store: StoreNames = None,
    at: Annotated[str | None, typer.Option(help="As of when, such as 2026-01-31T08:00:00Z; by default now.")] = None,
) -> None:
    """Find products that are not as they should be, with a case for each cause; clear those that are again."""
    settings, now = settings_of_command(), instant_of("at", at)

    async def reconcile() -> list[tuple[str | int, ...]]:
        async with open_databases(settings) as stores:
            return [(name, *await reconcile_services(stores[name], now)) for name in chosen_stores(settings, store)]

    output().print(table("Products", ("store", *Reconciled._fields), run(reconcile())))
