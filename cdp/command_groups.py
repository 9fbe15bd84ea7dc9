"""Commands about the stores themselves, in groups: their keys, audit trails, registered documents, policy."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from cdp.app import check_document
from cdp.consent.policy_rows import load_policy
from cdp.documents import register_document
from cdp.errors import RequestInvalid
from cdp.house import open_databases
from cdp.reports import (
    audit_entries,
    audit_export,
    audit_proof,
    audit_reports,
    document_rows,
    key_rows,
    log_keys,
)
from cdp.serving import run
from cdp.terminal import FILE, StoreNames, chosen_stores, json_line, output, settings_of_command, table, text_of
from privacy.rows import PolicyRows
from privacy.rules import read_rules

keys_group = typer.Typer(help="The keys of the stores.", no_args_is_help=True)
audit_group = typer.Typer(help="The audit trail of the stores.", no_args_is_help=True)
documents_group = typer.Typer(help="The registered documents: all that a partner may run.", no_args_is_help=True)
policy_group = typer.Typer(help="The policy of the stores: what the law asks, as a file.", no_args_is_help=True)
GROUPS: Final[Mapping[str, typer.Typer]] = {
    "keys": keys_group,
    "audit": audit_group,
    "documents": documents_group,
    "policy": policy_group,
}

PolicyFile = Annotated[Path, typer.Argument(help="TOML file with the rules, as privacy/rules.toml has them.", **FILE)]


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
    for name, (chains, tree, waiting) in reports.items():
        typer.echo(f"{name}: {chains.entries:,} entries in {chains.workers:,} chains, {waiting:,} not in the tree yet")
        signed = f"the newest signed by {len(tree.cosigners)} of {len(settings.witnesses)} witnesses"
        typer.echo(f"{name}: a tree of {tree.size:,} entries with {tree.checkpoints:,} checkpoints, {signed}")
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


@policy_group.command("check")
def policy_check_command(file: PolicyFile) -> None:
    """Check a policy file and count what is in it, or say the first thing that is wrong. Asks no store."""
    rows = read_rules(text_of(file))
    typer.echo(f"{file.name}: {_summary(rows)}")


@policy_group.command("load")
def policy_load_command(file: PolicyFile) -> None:
    """Check a policy file and make it the policy of every store; its version must be newer than theirs."""
    settings = settings_of_command()
    rows = read_rules(text_of(file))

    async def load() -> list[str]:
        async with open_databases(settings) as stores:
            return await load_policy(stores.values(), rows, datetime.now(UTC))

    typer.echo(f"{', '.join(run(load()))}: {_summary(rows)}")


def _summary(rows: PolicyRows) -> str:
    """Version and numbers; the rules by jurisdiction, so that a misspelt one meets the eye."""
    rules = Counter(rule.jurisdiction for rule in rows.rules)
    by_law = ", ".join(f"{jurisdiction} {count}" for jurisdiction, count in sorted(rules.items()))
    counts = {
        f"rules ({by_law})": rows.rules,
        "sensitivities": rows.sensitivities,
        "bases": rows.bases,
        "notices": rows.notices,
        "transfer bases": rows.transfer_bases,
    }
    return f"policy version {rows.version}: " + ", ".join(f"{len(found)} {name}" for name, found in counts.items())
