"""From the arguments of a root to what is to be read: which stores, by which keys."""

from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta, timezone
from typing import Any, Final, NamedTuple
from uuid import UUID

from cdp.admission import OpenStore
from cdp.asked import Asked, announce
from cdp.auth import Caller, Role
from cdp.errors import AuthError, RequestInvalid
from cdp.global_ids import GlobalId, read_id
from cdp.identity.resolve import normalise
from cdp.identity.tables import IDENTIFIER_INDEXES, NUMBER_INDEX
from cdp.numbers import PhoneNumber
from cdp.settings import Settings
from cdp.statement import KeyKind
from cdp.wanted import Wanted
from privacy.keys import TokenSeal
from schema.plan.hidden import HIDDEN
from schema.plan.operation import ABOUT_A_CUSTOMER, PAGE_CATEGORIES, OperationRoot, ReadRoot

Arguments = Mapping[str, Any]
STANDS_FOR: Final = ("USER", "REGISTERED_HOLDER")
"""Whom a number stands for where no role is asked for: its user, else its registered holder."""
FIRST_TO_SEE_A_DAY: Final = timezone(timedelta(hours=14))
"""Where a day begins first: what holds since its beginning there holds since its beginning anywhere."""


class Reach(NamedTuple):
    """Where a caller's questions may go: the stores served here, and what is needed to find a customer in them."""

    settings: Settings
    stores: Mapping[str, OpenStore]
    tokens: TokenSeal
    asked: Asked
    at: datetime

    @property
    def caller(self) -> Caller:
        """Who asks."""
        return self.asked.caller

    async def announce(self, store: str) -> None:
        """Nothing is changed in a store whose trail cannot say so. Raises AuditUnavailable."""
        await announce(self.asked, self.stores[store].book)

    def open_to(self, store: str) -> bool:
        return store in self.stores and store in self.caller.stores

    @property
    def all_open(self) -> list[str]:
        """The stores the caller may read here, in the caller's order."""
        return [store for store in self.caller.stores if store in self.stores]

    def store_of(self, region: str) -> str | None:
        """The store a region is kept in, whether served here or not; None where nobody keeps it."""
        try:
            return self.settings.store_of(region)
        except RequestInvalid:
            return None

    def global_id(self, text: str) -> GlobalId | None:
        return read_id(self.tokens, self.caller.legal_entity, text)


def bind(root: OperationRoot, arguments: Arguments, reach: Reach) -> dict[str, Wanted]:
    """What a root reads, by the name of its read. Raises RequestInvalid for arguments that ask for nothing."""
    if root.name == "node":
        return _node(root, arguments["id"], reach)
    if root.name == "proposeMerge":
        return _pair(root, arguments["input"], reach)
    read = root.reads["Customer"]
    if root.name in ABOUT_A_CUSTOMER:
        return {"Customer": _by_subject(read, arguments["customer"], arguments, reach)}
    if root.name in _BY_ARGUMENTS:
        return {"Customer": _BY_ARGUMENTS[root.name](read, arguments, reach)}
    given = [name for name in ("id", "number", "identifier") if arguments.get(name) is not None]
    if len(given) != 1:
        raise RequestInvalid("ARGUMENTS_INVALID", "customer: expected exactly one of id, number, identifier")
    if given == ["id"]:
        return _by_id(root, arguments["id"], reach)
    return {"Customer": (_by_number if given == ["number"] else _by_identifier)(read, arguments, reach)}


def _by_number(read: ReadRoot, arguments: Arguments, reach: Reach) -> Wanted:
    if reach.caller.partner and arguments.get("asOf") is not None:
        # Whose number it was is nobody's business once it is theirs no more.
        raise AuthError("FORBIDDEN", "customer(asOf): not open to partners", 403)
    roles = STANDS_FOR if arguments.get("role") is None else (arguments["role"].value,) * 2
    return _of_number(read, KeyKind.NUMBER, arguments, roles, reach)


def _holder(read: ReadRoot, arguments: Arguments, reach: Reach) -> Wanted:
    since = datetime.combine(arguments["date"], time(), FIRST_TO_SEE_A_DAY)
    if since > reach.at:
        raise RequestInvalid("DAY_INVALID", "sameHolderSince(date): expected a day that has come")
    wanted = _of_number(read, KeyKind.HOLDER, arguments, STANDS_FOR, reach)
    return wanted._replace(parameters={**wanted.parameters, f"r{read.root.number}_since": since})


def _of_number(read: ReadRoot, kind: KeyKind, arguments: Arguments, roles: tuple[str, str], reach: Reach) -> Wanted:
    number = PhoneNumber.parse(arguments["number"], arguments.get("region"))
    at, r = arguments.get("asOf") or reach.at, f"r{read.root.number}"
    parameters = dict(zip((f"{r}_role", f"{r}_stand_in"), roles, strict=True))
    own = reach.store_of(number.region)
    if own is not None and not reach.open_to(own):
        return Wanted(read.root, kind, {}, parameters, unserved=True)
    asked = reach.all_open if own is None else [own]
    keys = {
        store: {f"{r}_key": reach.stores[store].ring.sought_tag(NUMBER_INDEX, number.e164), f"{r}_as_of": at}
        for store in asked
    }
    return Wanted(read.root, kind, keys, parameters, found_by=NUMBER_INDEX)


def _by_identifier(read: ReadRoot, arguments: Arguments, reach: Reach) -> Wanted:
    kind, region = _word(arguments["identifier"]["kind"]), arguments.get("region")
    value = normalise(kind, arguments["identifier"]["value"], region)
    own = None if region is None else reach.store_of(region)
    if own is not None and not reach.open_to(own):
        return Wanted(read.root, KeyKind.IDENTIFIER, {}, {}, unserved=True)
    asked = reach.all_open if own is None else [own]
    index = IDENTIFIER_INDEXES[kind]
    r = f"r{read.root.number}"
    keys = {
        store: {f"{r}_key": reach.stores[store].ring.sought_tag(index, value), f"{r}_kind": kind} for store in asked
    }
    return Wanted(read.root, KeyKind.IDENTIFIER, keys, {}, found_by=index)


def _by_id(root: OperationRoot, text: str, reach: Reach) -> dict[str, Wanted]:
    found = reach.global_id(text)
    if found is None or found.type_name != "Customer":
        return {"Customer": Wanted(root.reads["Customer"].root, KeyKind.CUSTOMER, {}, {})}
    return {"Customer": wanted_id(root.reads["Customer"], found, reach)}


def _node(root: OperationRoot, text: str, reach: Reach) -> dict[str, Wanted]:
    found = reach.global_id(text)
    read = None if found is None else root.reads.get(found.type_name)
    if found is None or read is None:
        first = next(iter(root.reads.values()))
        return {"Customer": Wanted(first.root, KeyKind.CUSTOMER, {}, {})}
    return {found.type_name: wanted_id(read, found, reach)}


def wanted_id(read: ReadRoot, found: GlobalId, reach: Reach) -> Wanted:
    """The row or customer a global id stands for."""
    if found.link is not None:
        keys = {store: {f"r{read.root.number}_key": found.link} for store in reach.all_open}
        return Wanted(read.root, KeyKind.LINK, keys, {}, unserved=not keys)
    if not reach.open_to(found.store):
        return Wanted(read.root, KeyKind.CUSTOMER, {}, {}, unserved=True)
    if found.type_name == "Customer":
        return wanted_customer(read, found.store, found.customer_id, found.holding)
    r = f"r{read.root.number}"
    row: dict[str, Any] = {f"{r}_key": found.customer_id, f"{r}_row": found.row_id, f"{r}_held": found.holding}
    return Wanted(read.root, KeyKind.ROW, {found.store: row}, {})


def wanted_customer(read: ReadRoot, store: str, customer_id: UUID, holding: UUID | None = None) -> Wanted:
    """A customer by their id in a store, while a holding lasts where one is named."""
    r = f"r{read.root.number}"
    return Wanted(read.root, KeyKind.CUSTOMER, {store: {f"{r}_key": customer_id, f"{r}_held": holding}}, {})


def _pair(root: OperationRoot, given: Arguments, reach: Reach) -> dict[str, Wanted]:
    """The reads of the two records of a proposal."""
    only_stewards(reach.caller)
    assert root.picks is not None
    about = {key: name for key, name, _ in root.picks.items} | HIDDEN
    subjects = {"customer": given["subject"], "other": given["other"]}
    return {key: _by_subject(read, subjects[about[key]], given, reach) for key, read in root.reads.items()}


def _by_row(read: ReadRoot, arguments: Arguments, reach: Reach) -> Wanted:
    """The customer a consent is of."""
    found = reach.global_id(arguments["id"])
    if found is None or found.type_name != "Consent" or not reach.open_to(found.store):
        return Wanted(read.root, KeyKind.CUSTOMER, {}, {})
    return wanted_customer(read, found.store, found.customer_id)


def no_partners(caller: Caller) -> None:
    """Raises AuthError for other companies: they ask, and give no orders."""
    if caller.partner:
        raise AuthError("FORBIDDEN", "orders are not open to partners", 403)


def only_stewards(caller: Caller) -> None:
    """Raises AuthError for all but those who look after the records."""
    if caller.partner or caller.role != Role.STEWARD:
        raise AuthError("FORBIDDEN", "merging records is open to stewards alone", 403)


def only_officers(caller: Caller) -> None:
    """Raises AuthError for all but those who answer what people ask about their data."""
    if caller.partner or caller.role != Role.OFFICER:
        raise AuthError("FORBIDDEN", "this is open to officers alone", 403)


def officers_page(arguments: Arguments, reach: Reach, most: int) -> tuple[str, int]:
    """The store of the region whose rows are listed, and how many. Raises AuthError and RequestInvalid."""
    only_officers(reach.caller)
    store, first = reach.store_of(arguments["region"]), int(arguments["first"])
    if store is None or not reach.open_to(store):
        raise AuthError("FORBIDDEN", "region: not open to this caller", 403)
    if not 0 <= first <= most:
        raise RequestInvalid("PAGE_SIZE", f"first: expected 0 to {most}")
    return store, first


def only_accountants(caller: Caller) -> None:
    """Raises AuthError for all but those who answer for the ledger."""
    if caller.partner or caller.role != Role.ACCOUNTANT:
        raise AuthError("FORBIDDEN", "the ledger is corrected by accountants alone", 403)


def _by_subject(read: ReadRoot, subject: Arguments, given: Arguments, reach: Reach) -> Wanted:
    """Whoever a question is about, which may say where they are, and as of when a number is meant."""
    [(kind, value)] = subject.items()
    about = {name: given.get(name) for name in ("region", "asOf")}
    if kind == "number":
        return _by_number(read, {"number": value, **about}, reach)
    if kind == "customerKey":
        return _by_identifier(read, {"identifier": {"kind": kind, "value": value}, **about}, reach)
    found = reach.global_id(value)
    if found is None or found.type_name != "Customer":
        return Wanted(read.root, KeyKind.CUSTOMER, {}, {})
    return wanted_id(read, found, reach)


def _word(value: Any) -> str:
    """The value of an argument that is an enum in the schema."""
    return str(getattr(value, "value", value))


def _page(read: ReadRoot, arguments: Arguments, reach: Reach) -> Wanted:
    if reach.caller.partner:
        raise AuthError("FORBIDDEN", "customers: not open to partners", 403)
    number, where = read.root.number, arguments["where"]
    words = {name: where.get(name) for name in ("region", "kind", "status", "tier")}
    given = {name: _word(value) for name, value in words.items() if value is not None}
    parameters = {f"r{number}_{name}": value for name, value in given.items()}
    filters = tuple(sorted({PAGE_CATEGORIES[name] for name in given}))
    narrowed = tuple(name for name in given if name != "region")
    store = reach.store_of(where["region"])
    if store is None:
        raise RequestInvalid("REGION_UNKNOWN", "where.region: no store keeps this region")
    keys: dict[str, dict[str, Any]] = {store: {}} if reach.open_to(store) else {}
    return Wanted(read.root, KeyKind.REGION, keys, parameters, filters, narrowed, unserved=not keys)


_BY_ARGUMENTS: Final[Mapping[str, Callable[[ReadRoot, Arguments, Reach], Wanted]]] = {
    "customers": _page,
    "sameHolderSince": _holder,
    "consentReceipt": _by_row,
}
