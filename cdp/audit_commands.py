"""Commands about the audit trails of the stores: what is in them, whether all of it fits, and how to show that."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from cdp.errors import RequestInvalid
from cdp.reports import audit_entries, audit_export, audit_proof, audit_reports, log_keys
from cdp.serving import run
from cdp.terminal import FILE, StoreNames, chosen_stores, json_line, settings_of_command, text_of

audit_group = typer.Typer(help="The audit trail of the stores.", no_args_is_help=True)


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
def audit_verify_command(
    store: StoreNames = None,
    entry: Annotated[UUID | None, typer.Option(help="Also prove that this entry is in the tree.")] = None,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint that was kept elsewhere; may be repeated.", **FILE)
    ] = None,
) -> None:
    """Go over the trail: chains, tree, checkpoints, words; fails where anything is missing, moved or changed."""
    settings = settings_of_command()
    names = chosen_stores(settings, store)
    reports = run(audit_reports(settings, names, [text_of(path) for path in checkpoint or ()]))
    wrong = []
    for name, (chains, tree, waiting, erased) in reports.items():
        typer.echo(f"{name}: {chains.entries:,} entries in {chains.workers:,} chains, {waiting:,} not in the tree yet")
        signed = f"the newest signed by {len(tree.cosigners)} of {len(settings.witnesses)} witnesses"
        typer.echo(f"{name}: a tree of {tree.size:,} entries with {tree.checkpoints:,} checkpoints, {signed}")
        if erased:
            typer.echo(f"{name}: {erased:,} words of customers are gone because those customers were erased")
        found = [f"the chain of {at.worker} does not fit at entry {at.sequence:,}" for at in chains.breaks]
        wrong += [f"{name}: {problem}" for problem in (*found, *tree.problems)]
    if wrong:
        typer.echo("\n".join(wrong))
        raise RequestInvalid("AUDIT_BROKEN", f"{len(wrong)} things are not as they were written")
    if entry is not None:
        place, _ = run(audit_proof(settings, names, entry))
        typer.echo(f"{entry} is entry {place:,} of the tree")


@audit_group.command("proof")
def audit_proof_command(
    entry: Annotated[UUID, typer.Argument(help="The auditId of an answer.")], store: StoreNames = None
) -> None:
    """Print the proof that an entry is in the log, as tlog-proof has it."""
    settings = settings_of_command()
    _, proof = run(audit_proof(settings, chosen_stores(settings, store), entry))
    typer.echo(proof, nl=False)


@audit_group.command("key")
def audit_key_command(store: StoreNames = None) -> None:
    """Print the keys of the logs, one a line: what witnesses and auditors verify checkpoints with."""
    settings = settings_of_command()
    for key in run(log_keys(settings, chosen_stores(settings, store))).values():
        typer.echo(key.text)


@audit_group.command("export")
def audit_export_command(
    folder: Annotated[Path, typer.Argument(help="Where to write; each store gets a folder.", file_okay=False)],
    store: StoreNames = None,
) -> None:
    """Write the logs as files that privacy/verify_log.py verifies alone: checkpoints, tiles, entries."""
    settings = settings_of_command()
    for name, size in run(audit_export(settings, chosen_stores(settings, store), folder)).items():
        typer.echo(f"{name}: {size:,} entries")
