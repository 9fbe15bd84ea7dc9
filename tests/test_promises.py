"""What the house promises about every field, table, event and page of text, kept by walking over all of them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer.main
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    is_introspection_type,
    is_specified_directive,
    is_specified_scalar_type,
)
from sqlalchemy import Column, Index, Table, UniqueConstraint

from cdp.__main__ import cdp as command_line
from cdp.billing.tables import NUMBER_HASH
from cdp.dead_letters import LETTER_INDEX, RECORD_INDEX
from cdp.event import Event
from cdp.file_positions import FILE_INDEX
from cdp.identity.tables import CODE_INDEX, IDENTIFIER_INDEXES, NUMBER_INDEX
from cdp.ingest import EVENTS
from cdp.mapping import ROW_INDEX
from cdp.seen import BODY_INDEX
from cdp.settings import PREFIX, Settings
from cdp.tables import metadata
from privacy.seal import SealedColumn
from privacy.vocabulary import CATEGORIES, PURPOSES, RetentionClass
from schema.declaration import declare, graphql_schema, printed
from schema.fields import ColumnField, Declaration, Governance, Personal, Plain, retention_of
from schema.plan.declared import declaration_of
from tests.cdp.samples import SAMPLES

ROOT: Final = Path(__file__).parent.parent
README: Final = ROOT / "README.md"
SCHEMA = graphql_schema(declare())
NAMED: Final = {name: one for name, one in SCHEMA.type_map.items() if not is_introspection_type(one)}

# A uid is bound into every cell (tag) made with it. Whoever removes a column moves its line to RETIRED.
SEALED: Final = {
    1: "customer.formatted_name",
    2: "customer.birth_date",
    3: "customer.email",
    4: "customer.address",
    5: "identification.document_number",
    6: "sim.iccid",
    7: "number_holding.number",
    20: "usage_record.counterparty",
    30: "account.account_no",
    31: "top_up.number",
    40: "interaction.note",
    41: "case.description",
    90: "dead_letter.body",
    170: "case_step.note",
}
TAGGED: Final = {
    3: "email",
    5: "document",
    7: "number",
    30: "accountNo",
    90: "body",
    100: "customerKey",
    101: "event",
    102: "row",
    103: "linkCode",
    150: "record",
    151: "file",
    180: "topUpNumber",
}
RETIRED: Final = frozenset[int]()


def fields() -> Iterator[tuple[str, GraphQLObjectType, str, GraphQLField]]:
    """Every field of every object type: its full name, its type, its name, itself."""
    for one in NAMED.values():
        if isinstance(one, GraphQLObjectType):
            yield from ((f"{one.name}.{name}", one, name, field) for name, field in one.fields.items())


def declared() -> Iterator[tuple[str, Declaration, GraphQLField]]:
    """The fields that are filled from a customer's rows."""
    for full_name, of, name, field in fields():
        declaration = declaration_of(of, name)
        if isinstance(declaration, Declaration):
            yield full_name, declaration, field


def columns() -> Iterator[tuple[str, Column[Any]]]:
    for table in metadata.tables.values():
        yield from ((f"{table.name}.{column.name}", column) for column in table.columns)


def sealed_of(column: Column[Any]) -> SealedColumn | None:
    found = column.info.get("sealed")
    return found if isinstance(found, SealedColumn) else None


# --- every field is governed ------------------------------------------------------------------------------------------


def test_every_field_is_personal_or_plain_and_says_so_in_the_schema() -> None:
    for full_name, of, name, _ in fields():
        declaration = declaration_of(of, name)
        said = of.fields[name].extensions["strawberry-definition"].directives
        assert len(said) == 1, full_name
        assert isinstance(said[0], Personal | Plain), full_name
        if isinstance(declaration, Declaration):
            assert told_by(said[0]) == declaration.governance, full_name
            assert isinstance(said[0], Plain) or said[0].retention in set(RetentionClass), full_name
        else:
            # Roots lead to governed fields, and a part's fields are governed where the part is embedded.
            assert declaration in ("root", "part"), full_name
            assert isinstance(said[0], Plain), full_name


def told_by(directive: Personal | Plain) -> Governance:
    if isinstance(directive, Plain):
        return Governance(None, (), directive.reason)
    return Governance(directive.category, tuple(directive.purposes), search=directive.search or None)


def test_a_plain_field_has_its_reason_and_a_personal_one_may_be_withheld() -> None:
    known = set(PURPOSES) | {purpose.split(".")[0] for purpose in PURPOSES}
    for full_name, declaration, field in declared():
        governance = declaration.governance
        if governance.category is None:
            assert len(governance.reason.split()) >= 3, full_name
        else:
            assert governance.category in CATEGORIES, full_name
            assert governance.purposes, full_name
            assert set(governance.purposes) <= known, full_name
            assert not isinstance(field.type, GraphQLNonNull), full_name


def test_a_sealed_column_is_governed_by_the_category_it_was_sealed_under() -> None:
    shown = set()
    for full_name, declaration, _ in declared():
        sources = declaration.sources if isinstance(declaration, ColumnField) else ()
        for source in sources:
            sealed = sealed_of(source) if isinstance(source, Column) else None
            if sealed is not None:
                assert declaration.governance.category == sealed.category, full_name
                assert retention_of(declaration, sealed.category) is sealed.retention, full_name
                shown.add(SEALED[sealed.uid])
    assert set(SEALED.values()) - shown == {"dead_letter.body"}


def test_no_column_that_is_shown_hides_its_category_in_a_plain_field() -> None:
    plain = {name for name, one, _ in declared() if one.governance.category is None and isinstance(one, ColumnField)}
    assert {name for name in plain if not name.startswith("Tariff.")} == {
        "BillLine.lineNo",
        "TariffAdvice.assumptions",
        "UsageMonth.month",
    }


# --- every word is explained ------------------------------------------------------------------------------------------


def described() -> Iterator[tuple[str, str | None]]:
    for name, one in NAMED.items():
        if not (isinstance(one, GraphQLScalarType) and is_specified_scalar_type(one)):
            yield name, one.description
        if isinstance(one, GraphQLObjectType | GraphQLInterfaceType):
            for field_name, field in one.fields.items():
                yield f"{name}.{field_name}", field.description
                yield from ((f"{name}.{field_name}({a}:)", arg.description) for a, arg in field.args.items())
        if isinstance(one, GraphQLInputObjectType):
            yield from ((f"{name}.{field_name}", field.description) for field_name, field in one.fields.items())
    for directive in SCHEMA.directives:
        if not is_specified_directive(directive):
            yield f"@{directive.name}", directive.description


def test_everything_a_client_can_ask_is_described() -> None:
    found = dict(described())
    assert {name: text for name, text in found.items() if not (text and text.endswith("."))} == {}
    assert {"Customer.bills(first:)", "Money", "ConsentInput.kind", "Query.customer(asOf:)", "@purpose"} <= set(found)


def test_a_scalar_of_ours_names_its_specification() -> None:
    ours = [one for one in NAMED.values() if isinstance(one, GraphQLScalarType) and not is_specified_scalar_type(one)]
    assert {one.name for one in ours} == {"Region", "DateTime", "Date", "Month", "Event"}
    assert [one.name for one in ours if not (one.specified_by_url or "").startswith("https://")] == []


def test_every_enum_says_what_it_is_about_and_two_types_never_share_a_description() -> None:
    ours: list[GraphQLNamedType] = [one for one in NAMED.values() if isinstance(one, GraphQLEnumType)]
    assert len({one.description for one in ours}) == len(ours) > 10


def test_the_schema_file_is_the_schema() -> None:
    file = ROOT / "schema" / "schema.graphql"
    how = (
        "write it anew: python -c 'from pathlib import Path; from schema.declaration import declare, printed;"
        ' Path("schema/schema.graphql").write_text(printed(declare()))\''
    )
    assert file.exists(), how
    assert file.read_text() == printed(declare()), how


# --- every table can be spread over machines --------------------------------------------------------------------------


@pytest.mark.parametrize("table", metadata.tables.values(), ids=lambda table: str(table.name))
def test_a_table_has_its_store_rules(table: Table) -> None:
    spread, key = table.info["dist"], table.info["key"]
    first = next(iter(table.primary_key))

    assert spread in ("reference", "by customer", "by identifier", "queue")
    assert (key is None) == (spread == "reference")
    assert spread != "by customer" or key == "customer_id"
    assert spread != "queue" or key == "bucket"
    assert not any(column.autoincrement is True or column.server_default is not None for column in table.columns)
    if key is not None:
        assert first.name == key
        assert not table.c[key].nullable
        unique: list[UniqueConstraint | Index] = [one for one in table.indexes if one.unique]
        unique += [one for one in table.constraints if isinstance(one, UniqueConstraint)]
        assert {next(iter(one.columns)).name for one in unique} <= {key}


def test_foreign_keys_stay_with_one_customer() -> None:
    for table in metadata.tables.values():
        for constraint in table.foreign_key_constraints:
            other = constraint.referred_table
            assert other is not table, table.name
            assert table.info["dist"] == "by customer", table.name
            assert other.info["dist"] in ("by customer", "reference"), table.name
            if other.info["dist"] == "by customer":
                assert constraint.column_keys[0] == "customer_id", table.name


def test_every_index_says_which_read_it_serves() -> None:
    indexes: list[Index] = [index for table in metadata.tables.values() for index in table.indexes]
    assert [str(index.name) for index in indexes if len(str(index.info.get("serves", "")).split()) < 3] == []


# --- a uid is for ever ------------------------------------------------------------------------------------------------


def test_sealed_columns_keep_their_uids() -> None:
    found = [(sealed.uid, name) for name, column in columns() if (sealed := sealed_of(column))]
    assert len(found) == len({uid for uid, _ in found})
    assert dict(found) == SEALED
    assert not RETIRED & SEALED.keys()


def test_tags_keep_their_uids() -> None:
    indexes = [NUMBER_INDEX, *IDENTIFIER_INDEXES.values(), LETTER_INDEX, BODY_INDEX, ROW_INDEX, CODE_INDEX]
    indexes += [RECORD_INDEX, FILE_INDEX]
    indexes.append(NUMBER_HASH)
    assert len(indexes) == len({index.uid for index in indexes})
    assert {index.uid: index.name for index in indexes} == TAGGED
    assert {index.version for index in indexes} == {1}


def test_personal_words_never_lie_in_a_plain_column() -> None:
    """Names, documents, numbers, addresses, notes: wherever such a column stands, it is sealed."""
    words = re.compile(r"(^|_)(formatted_name|email|address|birth_date|document_number|number|iccid|note|account_no)$")
    assert [name for name, column in columns() if words.search(column.name) and sealed_of(column) is None] == []


# --- every event is handled and shown ---------------------------------------------------------------------------------


def test_every_event_has_a_sample_and_a_handler() -> None:
    assert set(SAMPLES) == set(EVENTS)
    assert [name for name, event in EVENTS.items() if event.apply is Event.apply] == []
    assert [name for name, event in EVENTS.items() if not event.__doc__ or event.__doc__ == Event.__doc__] == []


def test_a_sample_shows_every_field_of_its_event() -> None:
    rare = {"establishes_presence", "rank"}
    unshown = {
        f"{name}.{field.alias}"
        for name, event in EVENTS.items()
        for field_name, field in event.model_fields.items()
        if field_name not in rare and field.is_required() and field.alias not in SAMPLES[name]
    }
    assert unshown == set()


# --- every page of text is true ---------------------------------------------------------------------------------------


@pytest.fixture
def readme() -> str:
    if not README.exists():
        pytest.skip("README.md is not written yet")
    return README.read_text()


def test_the_map_in_the_readme_is_the_house(readme: str) -> None:
    """The code block under "The house": a line that is indented names what is in the folder of the line above."""
    _, found, after = readme.partition("## The house")
    assert found, 'README.md has no section "## The house"'
    named, missing = walk(after.split("```")[1].partition("\n")[2])
    rooms = {path.parent for folder in ("cdp", "schema", "privacy") for path in (ROOT / folder).rglob("*.py")}
    modules = {path for folder in ("cdp", "schema", "privacy") for path in (ROOT / folder).rglob("*.py")}
    wanted = rooms | {path for path in modules if path.name != "__init__.py"}

    assert missing == []
    assert sorted(str(path.relative_to(ROOT)) for path in wanted - named) == []
    assert {ROOT / folder for folder in ("migrations", "tests")} <= named


def walk(drawing: str) -> tuple[set[Path], list[str]]:
    """What a map names, and the names in it that lead nowhere."""
    named, missing = set[Path](), list[str]()
    inside: list[tuple[int, list[Path]]] = [(-1, [ROOT])]
    for line in filter(str.strip, drawing.splitlines()):
        indent = len(line) - len(line.lstrip())
        while inside[-1][0] >= indent:
            inside.pop()
        folders = []
        for name in re.findall(r"(?<!\S)[\w./-]+(?:/|\.py|\.md|\.graphql)(?!\S)", line):
            here = [one for folder in inside[-1][1] if (one := folder / name).exists()]
            here = here or [one for one in (ROOT / name,) if one.exists()]
            missing += [] if here else [name]
            named |= {one for path in here for one in (path, *path.parents)}
            folders += [one for one in here if one.is_dir()]
        if folders:
            inside.append((indent, folders))
    return named, missing


def test_a_map_is_read_as_it_is_drawn() -> None:
    named, missing = walk(
        "cdp/   the house\n  gate.py gone.py  the gate\n  usage/ billing/\n    tables.py\nprivacy/\n  seal.py\n"
    )
    assert {str(path.relative_to(ROOT)) for path in named if path.suffix == ".py"} == {
        "cdp/gate.py",
        "cdp/usage/tables.py",
        "cdp/billing/tables.py",
        "privacy/seal.py",
    }
    assert missing == ["gone.py"]


def test_every_setting_is_in_the_readme(readme: str) -> None:
    names = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    assert [name for name in names if name not in readme] == []


def test_every_command_is_in_the_readme(readme: str) -> None:
    assert [name for name in commands() if f"cdp {name}" not in readme] == []


def commands() -> Iterator[str]:
    """Every command as it is typed: `serve`, `audit tail` ..."""
    top: Any = typer.main.get_command(command_line)
    for name, command in top.commands.items():
        inner = getattr(command, "commands", None)
        yield from [name] if inner is None else [f"{name} {below}" for below in inner]


def test_the_commands_are_found() -> None:
    assert {"demo", "serve", "worker", "migrate", "load", "token", "bench", "audit verify", "keys status"} <= {
        *commands()
    }
