"""Commands about the stores themselves, in groups: their keys, audit trails, registered documents."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from cdp.app import check_document
from cdp.documents import register_document
from cdp.errors import RequestInvalid
from cdp.house import open_databases
from cdp.reports import audit_entries, audit_reports, document_rows, key_rows
from cdp.serving import run
from cdp.terminal import FILE, StoreNames, chosen_stores, json_line, output, settings_of_command, table, text_of

__all__ = ["GROUPS"]

keys_group = typer.Typer(help="The keys of the stores.", no_args_is_help=True)
audit_group = typer.Typer(help="The audit trail of the stores.", no_args_is_help=True)
documents_group = typer.Typer(help="The registered documents: all that a partner may run.", no_args_is_help=True)
GROUPS: Final[Mapping[str, typer.Typer]] = {
    "keys": keys_group,
    "audit": audit_group,
    "documents": documents_group,
}


@keys_group.command("status")
def keys_status_command(store: StoreNames = None) -> None:
    """Show which keys each store has, and how many data keys of customers."""
    settings = settings_of_command()
    rows = run(key_rows(settings, chosen_stores(settings, store)))
    output().print(table("Keys", ("store", "kind", "epoch", "number"), rows))


@audit_group.command("tail")
def audit_tail_command(
    store: StoreNames = None,
    number: Annotated[int, typer.Option("-n", "--number", min=1, max=10_000, help="Entries of each store.")] = 20,
) -> None:
    """Print the newest entries, oldest first, as one JSON object a line."""
    settings = settings_of_command()
    for entry in run(audit_entries(settings, chosen_stores(settings, store), number)):
        typer.echo(json_line(entry))


@audit_group.command("verify")
def audit_verify_command(store: StoreNames = None) -> None:
    """Walk every chain of the trail; fails where an entry is missing, moved or changed."""
    settings = settings_of_command()
    reports = run(audit_reports(settings, chosen_stores(settings, store)))
    for name, report in reports.items():
        typer.echo(f"{name}: {report.entries:,} entries in {report.workers:,} chains")
        broken = (f"{name}: the chain of {at.worker} does not fit at entry {at.sequence:,}" for at in report.breaks)
        typer.echo("\n".join(broken), nl=bool(report.breaks))
    if count := sum(len(report.breaks) for report in reports.values()):
        raise RequestInvalid("AUDIT_BROKEN", f"{count} chains are not as they were written")


@documents_group.command("register")
def documents_register_command(
    files: Annotated[list[Path], typer.Argument(help="One operation each, as the client sends it.", **FILE)],
) -> None:
    """Check documents against the schema and register them in every store; prints the hash of each."""
    settings = settings_of_command()
    sources = [(path, text_of(path)) for path in files]
    for _, source in sources:
        check_document(source)

    async def register() -> None:
        async with open_databases(settings) as stores:
            for path, source in sources:
                digest = await register_document(stores.values(), path.stem, source, datetime.now(UTC))
                output().print(f"{digest}  {path.stem}")

    run(register())


@documents_group.command("list")
def documents_list_command(store: StoreNames = None) -> None:
    """Show the registered documents of each store."""
    settings = settings_of_command()
    rows = run(document_rows(settings, chosen_stores(settings, store)))
    output().print(table("Documents", ("store", "name", "SHA-256", "registered (UTC)"), rows))
