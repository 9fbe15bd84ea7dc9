"""Commands that hold what should be against what is reported."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

import typer

from cdp.house import open_databases
from cdp.reconcile.money import reconcile_money
from cdp.reconcile.services import Reconciled, reconcile_services
from cdp.serving import run
from cdp.stores import Store
from cdp.terminal import StoreNames, chosen_stores, instant_of, output, settings_of_command, table

At = Annotated[str | None, typer.Option(help="As of when, such as 2026-01-31T08:00:00Z; by default now.")]

reconcile_group = typer.Typer(help="What should be, against what is: what is wrong is found.", no_args_is_help=True)


@reconcile_group.command("services")
def reconcile_services_command(store: StoreNames = None, at: At = None) -> None:
    """Find products that are not as they should be, with a case for each cause; clear those that are again."""
    _reconcile("Products", reconcile_services, store, at)


@reconcile_group.command("money")
def reconcile_money_command(store: StoreNames = None, at: At = None) -> None:
    """Hold top-ups against the ledger: find those that went astray, with a case and what would put them right."""
    _reconcile("Top-ups", reconcile_money, store, at)


def _reconcile(
    title: str, step: Callable[[Store, datetime], Awaitable[Reconciled]], store: list[str] | None, at: str | None
) -> None:
    settings, now = settings_of_command(), instant_of("at", at)

    async def reconcile() -> list[tuple[str | int, ...]]:
        async with open_databases(settings) as stores:
            return [(name, *await step(stores[name], now)) for name in chosen_stores(settings, store)]

    output().print(table(title, ("store", *Reconciled._fields), run(reconcile())))
