"""A plan in words: what an operation reads, by which statements, what is governed and what it may cost."""

from collections.abc import Iterator

from cdp.statement import KeyKind, Way
from schema.plan.changes import is_customer
from schema.plan.document import Documents
from schema.plan.lists import cost
from schema.plan.numbers import NUMBER_ROOTS
from schema.plan.operation import MOST_PER_PAGE, Operation, OperationRoot, ReadRoot
from schema.plan.run import MOST_COST

KINDS: dict[str, tuple[KeyKind, ...]] = {
    "customers": (KeyKind.REGION,),
    "customer": (KeyKind.NUMBER, KeyKind.LINK),
    "sameHolderSince": (KeyKind.HOLDER,),
    "node": (KeyKind.ROW,),
}
"""The kinds of key shown for a root; an order reads its customer by id."""


def explain(documents: Documents, source: str) -> str:
    """The plans of a document's operations, `@skip` and `@include` by variable taken as false.

    Raises RequestInvalid for a document that is no GraphQL, over a limit, or does not fit the schema.
    """
    document = documents.get(source)
    lines: list[str] = [f"document {document.sha256}"]
    for name, prepared in document.operations.items():
        lines += _operation(prepared.plan({}), name or "(unnamed)")
    return "\n".join(lines)


def _operation(plan: Operation, name: str) -> Iterator[str]:
    yield f"\n{plan.kind.value} {name}, purpose {plan.purpose or '(none)'}"
    for root in plan.roots:
        for read in root.reads.values():
            yield from _read(plan, root, read)
        if root.name in NUMBER_ROOTS:
            yield f"  {root.key}: about one number, of which a store is asked"
        elif not root.reads:
            yield f"  {root.key}: at hand, no store is asked"
    yield "  governed places (* is each row of a list):"
    for spot in plan.spots:
        refused = f"  refused: {spot.refused.value}" if spot.refused else ""
        yield f"    {'.'.join(spot.path)}  [{spot.category}]{refused}"


def _read(plan: Operation, root: OperationRoot, read: ReadRoot) -> Iterator[str]:
    sizes = {one.first: one.most if one.written_first is None else one.written_first for one in read.lists}
    costs = cost(read.lists, read.values, sizes)
    yield f"  {'.'.join(read.root.path)}: it may return {costs:,} values, of {MOST_COST:,} that are allowed"
    for one in read.lists:
        yield f"    {one.place}: {sizes[one.first]} rows at most, {one.most} could be asked for"
    by = (KeyKind.CUSTOMER,) if is_customer(read) else (KeyKind.ROW,)
    for kind in KINDS.get(root.name, by):
        statement = plan.statement((Way(read.root.number, kind, rows=MOST_PER_PAGE + 1),))
        yield f"  statement by {kind.value}:"
        yield from (f"    {line}" for line in statement.text.splitlines())
        labels = (*statement.keys, *statement.shared)
        bound = (f"${i} = {labels[place]}" for i, place in enumerate(statement.order, 1))
        yield f"    with {', '.join(bound)}"
