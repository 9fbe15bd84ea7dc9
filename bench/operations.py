"""What is asked, in each contestant's words."""

import base64
import json
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

__all__ = ["OPERATIONS", "Dialect", "Operation", "Person", "World", "document_text", "request_bodies"]

HERE: Final = Path(__file__).parent
PURPOSE: Final = ' @purpose(id: "service.care")'


class Dialect(StrEnum):
    """Whose words a request is in."""

    CDP = "cdp"
    FLOOR = "floor"
    STOCK = "stock"
    POSTGRAPHILE = "postgraphile"


class Operation(StrEnum):
    """The operations that are measured."""

    PROFILE = "profile"
    REGION = "customers_of_region"
    TWO_STORES = "two_store"
    LOOKUP = "lookup"
    DOCUMENT = "document"


OPERATIONS: Final = {
    Operation.PROFILE: "The unified profile of a customer of one store, by number",
    Operation.REGION: "Fifty customers of a region with their numbers and last bills",
    Operation.TWO_STORES: "The unified profile of a customer who has a record in two stores",
    Operation.LOOKUP: "One field of one customer, by number",
    Operation.DOCUMENT: "The unified profile, the document named by its hash",
}


@dataclass(frozen=True, slots=True)
class Person:
    """A customer as they are asked for: a number in E.164, and its blind tag in hex for those without the key."""

    number: str
    tag: str


@dataclass(frozen=True, slots=True)
class World:
    """Whom can be asked for: customers of the store `cn` alone, those known in both stores, the regions of `cn`."""

    people: tuple[Person, ...]
    linked: tuple[Person, ...]
    regions: tuple[str, ...]


def document_text(operation: Operation) -> str:
    """The document of an operation as a client of this product sends it."""
    named = Operation.PROFILE if operation in (Operation.TWO_STORES, Operation.DOCUMENT) else operation
    return (HERE / "operations" / f"{named}.graphql").read_text()


def request_bodies(operation: Operation, dialect: Dialect, world: World) -> list[bytes]:
    """One request body for each customer (or region) of the world; none where the contestant cannot be asked so."""
    sent = _sent(operation, dialect)
    if sent is None:
        return []
    if operation is Operation.REGION:
        variables: list[dict[str, Any]] = [{"region": region} for region in world.regions]
    else:
        people = world.linked if operation is Operation.TWO_STORES else world.people
        variables = [{"number": _number(person, dialect)} for person in people]
    return [json.dumps(sent | {"variables": one}, separators=(",", ":")).encode() for one in variables]


def _sent(operation: Operation, dialect: Dialect) -> dict[str, str] | None:
    """What names the operation in a request; None where the contestant has no words for it."""
    text = document_text(operation)
    if dialect is Dialect.FLOOR:
        return {}
    if dialect is Dialect.CDP:
        by_hash = operation is Operation.DOCUMENT
        return {"documentId": sha256(text.encode()).hexdigest()} if by_hash else {"query": text}
    if operation is Operation.DOCUMENT or (dialect, operation) == (Dialect.POSTGRAPHILE, Operation.TWO_STORES):
        return None
    if dialect is Dialect.STOCK:
        # A directive in the schema would make Strawberry look for it at every field: it is spared that.
        return {"query": text.replace(PURPOSE, "")}
    return {"query": (HERE / "peer" / "operations" / f"{operation}.graphql").read_text()}


def _number(person: Person, dialect: Dialect) -> str:
    match dialect:
        case Dialect.CDP:
            return person.number
        case Dialect.POSTGRAPHILE:
            return base64.b64encode(bytes.fromhex(person.tag)).decode()
    return person.tag
