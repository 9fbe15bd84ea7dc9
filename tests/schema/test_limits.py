"""Documents are measured as if every fragment were written out, and refused by what they would become."""

from dataclasses import replace

import pytest
from graphql import GraphQLSyntaxError, get_introspection_query, parse
from hypothesis import given
from hypothesis import strategies as st

from cdp.errors import RequestInvalid
from schema.plan.limits import (
    CEILING,
    Limits,
    Measures,
    check_limits,
    check_text,
    measure,
    parse_limited,
    reads_schema_only,
)

LIMITS = Limits()


def code_of(source: str, limits: Limits = LIMITS) -> str:
    with pytest.raises(RequestInvalid) as caught:
        parse_limited(source, limits)
    return caught.value.code


def bomb(levels: int) -> str:
    """Each fragment spreads the next one twice: 2 ** levels fields in a few hundred bytes."""
    spreads = [f"fragment F{n} on Q{{...F{n + 1} ...F{n + 1}}}" for n in range(levels)]
    return "{...F0}" + "".join(spreads) + f"fragment F{levels} on Q{{a}}"


def test_counts_are_those_of_the_written_out_document() -> None:
    source = """
    query A($x: Int @a) @p { one: f(x: $x) @skip(if: true) { g { ...B } ... on T { h } } ...B __typename }
    fragment B on T @q { two: k { l } }
    """

    assert measure(parse(source)) == Measures(
        operations=1, depth=4, nesting=5, fields=11, root_fields=3, aliases=3, directives=5, introspections=0
    )


def test_operations_add_up_and_the_widest_root_counts() -> None:
    found = measure(parse("query A { a b c } query B { d: a { __schema { types { name } } } }"))

    assert (found.operations, found.fields, found.root_fields, found.aliases, found.depth) == (2, 7, 3, 1, 4)
    assert found.introspections == 1


def test_an_unused_fragment_counts_by_itself() -> None:
    assert measure(parse("{ a } fragment B on Q { b: a c: a { d } }")).aliases == 2


@pytest.mark.parametrize("levels", [1, 5, 10, 19])
def test_doubling_fragments_are_counted_exactly(levels: int) -> None:
    assert measure(parse(bomb(levels))).root_fields == 2**levels


def test_the_known_bomb_is_refused_at_once() -> None:
    source = bomb(26)

    assert len(source) == 831
    assert measure(parse(source)).fields == CEILING
    assert code_of(source) == "TOO_MANY_FIELDS"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("#" * 65_537, "QUERY_TOO_LONG"),
        ("{" + "a " * 12_000 + "}", "TOO_MANY_TOKENS"),
        ("{" + "a," * 12_000 + "}", "TOO_MANY_TOKENS"),
        ("{a" * 16 + "}" * 16, "QUERY_TOO_DEEP"),
        ("{a" * 20_000, "QUERY_TOO_DEEP"),
        ("{a(x:" + "[" * 30_000, "QUERY_TOO_DEEP"),
        ("query A($x: " + "[" * 30_000, "QUERY_TOO_DEEP"),
        ("{...A} fragment A on Q {a{...B}} fragment B on Q {b{...A}}", "QUERY_TOO_DEEP"),
        ("{a} fragment A on Q {...A}", "QUERY_TOO_DEEP"),
        ("{...F0}" + "".join(f"fragment F{n} on Q{{...F{n + 1}}}" for n in range(400)), "QUERY_TOO_DEEP"),
        ("".join(f"fragment F{n} on Q{{...F{n + 1}}}" for n in reversed(range(400))) + "{...F0}", "QUERY_TOO_DEEP"),
        ("{" + " ".join(f"b{n}: a" for n in range(1000)) + "}", "TOO_MANY_ALIASES"),
        ("{r{" + " ".join(f"b{n}: a" for n in range(1000)) + "}}", "TOO_MANY_ALIASES"),
        ("{r{...A ...A ...A}} fragment A on Q {" + " ".join(f"b{n}: a" for n in range(40)) + "}", "TOO_MANY_ALIASES"),
        ("{a" + "@skip(if: true)" * 51 + "}", "TOO_MANY_DIRECTIVES"),
        (" ".join(f"query Q{n} {{a}}" for n in range(11)), "TOO_MANY_OPERATIONS"),
        ("{a {" + "...A " * 60 + "}}" + "fragment A on Q {" + "b " * 60 + "}", "TOO_MANY_FIELDS"),
        ("{" + "a " * 21 + "}", "TOO_MANY_FIELDS"),
    ],
)
def test_too_much_is_refused(source: str, code: str) -> None:
    assert code_of(source) == code


@pytest.mark.parametrize(
    ("source", "limits"),
    [
        ("{a" * 15 + "}" * 15, LIMITS),
        ("{" + "a " * 20 + "}", LIMITS),
        ("{r{" + " ".join(f"b{n}: a" for n in range(100)) + "}}", LIMITS),
        ('{a(x: "{{{{{{{{{{", y: """{{{{ \\""" {{{{""") } # {{{{{{{{{{{{', replace(LIMITS, brackets=3)),
        (get_introspection_query(input_value_deprecation=True, specified_by_url=True), LIMITS),
    ],
)
def test_what_is_at_the_limit_passes(source: str, limits: Limits) -> None:
    document = parse_limited(source, limits)

    check_limits(source, document, limits)


def test_what_is_no_graphql_is_a_syntax_error() -> None:
    with pytest.raises(GraphQLSyntaxError):
        parse_limited("{", LIMITS)


@given(st.text('{}[]()"\\#\n a.$:@!é', max_size=300))
def test_any_text_is_parsed_or_refused(source: str) -> None:
    try:
        parse_limited(source, LIMITS)
    except (GraphQLSyntaxError, RequestInvalid):
        return
    check_text(source, LIMITS)


@given(st.lists(st.sampled_from(["a", "b: a", "...F", "... { c }", "d { e ...F }"]), min_size=1, max_size=8))
def test_a_spread_equals_its_fragment_written_out(selections: list[str]) -> None:
    fragment = "... on Q { x y: z { w } }"
    spread = parse("{" + " ".join(selections) + "} fragment F on Q { x y: z { w } }")
    written = parse("{" + " ".join(selections).replace("...F", fragment) + "}")

    used = any("...F" in selection for selection in selections)
    assert not used or measure(spread) == measure(written)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{ __typename }", True),
        ("query T($n: String!) { __type(name: $n) { name } }", True),
        ("{ customer { id } }", False),
        ("{ __typename customer { id } }", False),
        ("{ __typename: customer { id } }", False),
        ("{ ... { customer { id } } }", False),
        ("{ ...F } fragment F on Query { __typename }", False),
        ("mutation { __typename }", False),
        ("subscription { __typename }", False),
        ("query A { __typename } query B { customer { id } }", False),
        ("fragment F on Query { a }", False),
    ],
)
def test_only_the_schema_may_be_read_by_url(source: str, expected: bool) -> None:
    assert reads_schema_only(source, LIMITS) is expected
