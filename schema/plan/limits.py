"""How large a document may be, decided before any SQL and before validation.

Everything is counted after fragment expansion, as if every spread were replaced by what it stands for. Each fragment is
measured once and its counts are added wherever it is spread, so the time is linear in the text however fragments nest.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    parse,
)

from cdp.errors import RequestInvalid

# Beyond this a count says "too many" and nothing else: an exponential document must not grow large integers either.
CEILING: Final = 1_000_000
# Selection sets and spreads inside each other that are followed at all: no chain of a thousand fragments.
NESTING: Final = 100

# Every alternative may end early, so an unterminated string or comment is still read in linear time.
_TOKEN = re.compile(
    r'"""(?:\\"""|(?!""").)*+(?:""")?|"(?:\\.|[^"\\\n\r])*+"?|#[^\n\r]*+|\.\.\.|[-\w.]++|[^\s,\ufeff]', re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Limits:
    """The most a document may have; Measures says what each counts. `brackets`: of any kind, open at one place."""

    characters: int = 65_536
    tokens: int = 12_000
    brackets: int = 64
    operations: int = 10
    depth: int = 15
    fields: int = 2_000
    root_fields: int = 20
    aliases: int = 100
    directives: int = 50


@dataclass(frozen=True, slots=True)
class Measures:
    """What a document, or one selection, amounts to once its fragments are expanded. Counts stop at CEILING.

    depth: fields inside fields. nesting: selection sets and spreads inside each other. fields: selections of every
    kind. root_fields: fields of the outermost selection set (of a document: of its widest operation).
    introspections: selections of `__schema` and `__type`.
    """

    operations: int = 0
    depth: int = 0
    nesting: int = 0
    fields: int = 0
    root_fields: int = 0
    aliases: int = 0
    directives: int = 0
    introspections: int = 0


_INTROSPECTION: Final = ("__schema", "__type")
_NAMES: Final = tuple(f.name for f in fields(Measures))
_COUNTS: Final = tuple(name for name in _NAMES if name not in ("depth", "nesting"))


def parse_limited(source: str, limits: Limits) -> DocumentNode:
    """Parse a document within its limits. Raises RequestInvalid, or GraphQLSyntaxError for what is no GraphQL."""
    check_text(source, limits)
    document = parse(source)
    _check_measures(measure(document), limits)
    return document


def check_text(source: str, limits: Limits) -> None:
    """Refuse by length, tokens and open brackets: what must be known before a recursive parser sees the text."""
    if len(source) > limits.characters:
        raise RequestInvalid("QUERY_TOO_LONG", f"A document may have {limits.characters} characters.")
    tokens, opened = 0, 0
    for token in _TOKEN.findall(source):
        tokens += token[0] != "#"
        opened += (token in ("{", "[", "(")) - (token in ("}", "]", ")"))
        if opened > limits.brackets:
            raise _too_deep()
    if tokens > limits.tokens:
        raise RequestInvalid("TOO_MANY_TOKENS", f"A document may have {limits.tokens} tokens.")


def check_limits(source: str, document: DocumentNode, limits: Limits) -> None:
    """Refuse (RequestInvalid) a document over any limit, the text first."""
    check_text(source, limits)
    _check_measures(measure(document), limits)


def _check_measures(found: Measures, limits: Limits) -> None:
    if found.depth > limits.depth:
        raise _too_deep()
    for name, code, words in (
        ("operations", "TOO_MANY_OPERATIONS", "operations"),
        ("aliases", "TOO_MANY_ALIASES", "aliases"),
        ("root_fields", "TOO_MANY_FIELDS", "fields at its root"),
        ("directives", "TOO_MANY_DIRECTIVES", "directives"),
        ("fields", "TOO_MANY_FIELDS", "fields"),
    ):
        most = getattr(limits, name)
        if getattr(found, name) > most:
            raise RequestInvalid(code, f"A document may have {most} {words}, fragments expanded.")


def measure(document: DocumentNode) -> Measures:
    """Measure a document: counts over all its operations, or of a fragment that is larger alone (it is validated too).

    Raises RequestInvalid QUERY_TOO_DEEP for a fragment that spreads itself and for nesting beyond NESTING.
    """
    ruler = _Ruler(document)
    operations = [ruler.operation(node) for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    everything = _largest([_added(operations), *(ruler.fragment(node, 0) for node in ruler.fragments)])
    return replace(everything, root_fields=_largest(operations).root_fields)


def reads_schema_only(source: str, limits: Limits) -> bool:
    """True for one query operation that selects nothing but `__typename`, `__schema` and `__type`: no customer's data.

    Raises as parse_limited does. Fragments at the root are not followed: with them the answer is False.
    """
    document = parse_limited(source, limits)
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return (
        len(operations) == 1
        and operations[0].operation == OperationType.QUERY
        and all(
            isinstance(node, FieldNode) and node.name.value.startswith("__")
            for node in operations[0].selection_set.selections
        )
    )


class _Ruler:
    """Measures selection sets of one document; each fragment once."""

    def __init__(self, document: DocumentNode) -> None:
        self.fragments = [node for node in document.definitions if isinstance(node, FragmentDefinitionNode)]
        self._named = {node.name.value: node for node in self.fragments}
        self._known: dict[str, Measures] = {}
        self._open: set[str] = set()

    def operation(self, node: OperationDefinitionNode) -> Measures:
        inner = self.selection_set(node.selection_set, 0)
        directives = len(node.directives or ()) + sum(len(v.directives or ()) for v in node.variable_definitions or ())
        return replace(inner, operations=1, directives=inner.directives + directives)

    def fragment(self, node: FragmentDefinitionNode, level: int) -> Measures:
        inner = self.selection_set(node.selection_set, level)
        return replace(inner, directives=inner.directives + len(node.directives or ()))

    def selection_set(self, node: SelectionSetNode, level: int) -> Measures:
        """`level` bounds this recursion; the result's own nesting also counts what was measured earlier."""
        if level > NESTING:
            raise _too_deep()
        measured = _added([self._selection(selection, level + 1) for selection in node.selections])
        if measured.nesting > NESTING:
            raise _too_deep()
        return measured

    def _selection(self, node: SelectionNode, level: int) -> Measures:
        inner = self._inner(node, level)
        is_field = isinstance(node, FieldNode)
        return Measures(
            depth=inner.depth + is_field,
            nesting=inner.nesting + 1,
            fields=inner.fields + 1,
            root_fields=1 if is_field else inner.root_fields,
            aliases=inner.aliases + (isinstance(node, FieldNode) and node.alias is not None),
            directives=inner.directives + len(node.directives or ()),
            introspections=inner.introspections + (isinstance(node, FieldNode) and node.name.value in _INTROSPECTION),
        )

    def _inner(self, node: SelectionNode, level: int) -> Measures:
        if isinstance(node, FragmentSpreadNode):
            return self._spread(node.name.value, level)
        if isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set is not None:
            return self.selection_set(node.selection_set, level)
        return Measures()

    def _spread(self, name: str, level: int) -> Measures:
        if name in self._open:
            raise RequestInvalid("QUERY_TOO_DEEP", "A fragment spreads itself.")
        if name not in self._named:
            return Measures()
        if name not in self._known:
            self._open.add(name)
            self._known[name] = self.fragment(self._named[name], level)
            self._open.remove(name)
        return self._known[name]


def _added(parts: Sequence[Measures]) -> Measures:
    """Selections beside each other: counts add up to CEILING, depth and nesting are those of the deepest."""
    deepest = _largest(parts)
    counts = {name: min(CEILING, sum(getattr(part, name) for part in parts)) for name in _COUNTS}
    return Measures(depth=deepest.depth, nesting=deepest.nesting, **counts)


def _largest(parts: Sequence[Measures]) -> Measures:
    """The largest of each measure."""
    return Measures(**{name: max((getattr(part, name) for part in parts), default=0) for name in _NAMES})


def _too_deep() -> RequestInvalid:
    return RequestInvalid("QUERY_TOO_DEEP", "The document nests too deep.")
