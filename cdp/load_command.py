"""The command that loads files, checks them, and suggests mappings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cdp.errors import RequestInvalid
from cdp.house import open_house
from cdp.ingest import EVENTS
from cdp.load import Task, load_file
from cdp.load_check import check_file
from cdp.mapping import FileMapping, read_mapping
from cdp.mapping_suggestion import suggestion
from cdp.serving import run
from cdp.settings import Settings
from cdp.terminal import FILE, output, progress, settings_of_command, table, troubles


def load_command(  # noqa: PLR0913 -- a command has as many options as it has
    files: Annotated[list[Path], typer.Argument(help="CSV with a header line, .ndjson (.jsonl) or .parquet.", **FILE)],
    *,
    mapping: Annotated[
        str | None, typer.Option(help="TOML file: which events its columns make; or the name of a shipped one.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Region of records that name none, such as CN-GD or HK.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing: tell what would be refused, or suggest a mapping.")
    ] = False,
    rejects: Annotated[
        Path | None, typer.Option(help="Folder for refused records; unset: the file's own.", exists=True)
    ] = None,
    processes: Annotated[int, typer.Option(min=1, max=64, help="How many share the write door.")] = 1,
) -> None:
    """Load files through the write journey; bad records go to the dead letters and into a file, the rest goes through.

    A load that was stopped goes on where it was when the same command is given again. A file that cannot be loaded does
    not hold up those after it.
    """
    settings = settings_of_command()
    plan = None if mapping is None else read_mapping(mapping, EVENTS)
    if plan is None and not check:
        raise typer.BadParameter("expected a mapping; --check suggests one", param_hint="--mapping")
    if not check:
        assert plan is not None
        run(_load(settings, files, Task(plan, region, rejects, processes)))
        return
    refused: list[RequestInvalid] = []
    for file in files:
        try:
            if plan is None:
                typer.echo(suggestion(file), nl=False)
            else:
                _check(file, plan, region, settings.regions)
        except RequestInvalid as wrong:
            refused.append(wrong)
    _tell(refused)


async def _load(settings: Settings, files: Sequence[Path], task: Task) -> None:
    refused: list[RequestInvalid] = []
    async with open_house(settings) as house:
        with progress(output()) as bars:
            for file in files:
                try:
                    loaded = await load_file(house, file, task, bars)
                except RequestInvalid as wrong:
                    refused.append(wrong)
                    continue
                title = f"Records and events of {file.name}"
                bars.console.print(table(title, ("outcome", "number"), loaded.told()))
                if loaded.rejects is not None:
                    bars.console.print(f"to be corrected and loaded again: {loaded.rejects}")
    _tell(refused)


def _tell(refused: Sequence[RequestInvalid]) -> None:
    """Tells why files were not taken; the last one is told by whoever ends the process."""
    for wrong in refused[:-1]:
        typer.echo("\n".join(troubles(wrong)), err=True)
    if refused:
        raise refused[-1]


def _check(file: Path, plan: FileMapping, region: str | None, regions: Mapping[str, str]) -> None:
    with progress(Console(stderr=True)) as bars:
        checked = check_file(file, plan, region, regions, bars)
    counts = {"records": checked.records, "with nothing wrong": checked.good, **checked.events}
    output().print(table(f"{file.name} by {plan.name}: nothing was written", ("what", "number"), counts.items()))
    if checked.wrong:
        rows = [(*why, number) for why, number in checked.wrong.most_common()]
        output().print(table("Would be refused", ("reason", "column or field", "expected", "records"), rows))
