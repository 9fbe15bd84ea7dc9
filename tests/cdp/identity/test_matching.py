"""What records share: rules by priority, values of too many that tell nothing, and the file that says all of it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.errors import RequestInvalid
from cdp.identity.match_rules import MatchRules, Rule, Sharing, Trait, read_match_rules
from cdp.identity.matching import Traits, groups, keys, ruled, traits_of

SHIPPED = Path("cdp/identity/matching.toml").read_text("utf-8")
RECORDS = st.lists(
    st.dictionaries(st.sampled_from(("document", "email")), st.frozensets(st.sampled_from("abc"), min_size=1)),
    max_size=8,
)


def said(**fields: Any) -> dict[str, Any]:
    return {"formattedName": None, "birthDate": None, "email": None, "address": None} | fields


def nothing_blocked(_: str, __: str) -> bool:
    return False


def rules(*shared: tuple[Trait, int]) -> MatchRules:
    made = tuple(Rule(name=kind, kinds=(kind,), most=most) for kind, most in shared)
    return read_match_rules(None).model_copy(update={"rules": made})


def test_a_record_is_compared_in_one_spelling() -> None:
    one = said(
        formattedName="ＣＨＥＮ  美玲",
        email="Meiling@Example.cn",
        identifications=[{"documentType": "NATIONAL_ID", "documentNumber": "440106-1988 0517 0029"}],
        holdings=[{"number": "+8613800138000", "sim": {"iccid": "8986"}}, {"number": "+8613900139000", "sim": None}],
    )
    assert traits_of(one, nothing_blocked) == {
        "name": {"chen美玲"},
        "email": {"meiling@example.cn"},
        "document": {"440106198805170029"},
        "documentType": {"NATIONAL_ID"},
        "number": {"+8613800138000", "+8613900139000"},
        "card": {"8986"},
        "numberOnCard": {"+86138001380008986"},
    }


def test_what_is_withheld_or_blocked_is_not_there() -> None:
    one = said(
        email="shop@example.cn",
        identifications=[
            {"documentType": None, "documentNumber": None},
            {"documentType": "PASSPORT", "documentNumber": "0X"},
        ],
        holdings=[{"number": "+8613800138000", "sim": {"iccid": "8986"}}, {"number": None, "sim": {"iccid": None}}],
    )
    assert traits_of(one, lambda _kind, _value: True) == {"card": {"8986"}}
    assert traits_of(said(identifications=None, holdings=None), nothing_blocked) == {}


def test_the_first_rule_that_fits_names_a_pair() -> None:
    same = frozenset("x")
    records: list[Traits] = [{"document": same, "email": same}, {"email": same}, {"document": same, "email": same}]
    assert ruled(rules(("document", 5), ("email", 5)), records) == {
        (0, 2): "document",
        (0, 1): "email",
        (1, 2): "email",
    }
    assert ruled(rules(("email", 5), ("document", 5)), records)[0, 2] == "email"


def test_a_value_that_too_many_share_tells_nothing() -> None:
    records: list[Traits] = [{"email": frozenset({"office", f"own-{n // 2}"})} for n in range(6)]
    assert ruled(rules(("email", 5)), records) == {(0, 1): "email", (2, 3): "email", (4, 5): "email"}
    assert len(ruled(rules(("email", 6)), records)) == 15


@given(RECORDS, st.integers(2, 8))
def test_records_of_one_group_share_all_its_kinds_and_no_group_is_too_large(records: list[Traits], most: int) -> None:
    both = Sharing(kinds=("document", "email"), most=most)
    numbered = keys([both], records)
    for group in groups(both, records):
        assert 2 <= len(group) <= most
        for kind in both.kinds:
            assert frozenset.intersection(*(records[place][kind] for place in group))
        assert frozenset.intersection(*(frozenset(numbered[place]) for place in group))
    assert sum(map(len, numbered)) == sum(map(len, groups(both, records)))


def test_the_shipped_rules_are_read_in_their_order(tmp_path: Path) -> None:
    shipped = read_match_rules(None)
    assert [rule.name for rule in shipped.rules] == ["document", "number on card", "email"]
    assert {one.field for one in shipped.comparisons} == {"name", "birthDate", "document", "address"}
    (copy := tmp_path / "mine.toml").write_text(SHIPPED, "utf-8")
    assert read_match_rules(copy) == shipped


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ('kinds = ["document"]', 'kinds = ["shoe size"]', "rules.0.kinds.0: Input should be 'name', 'birthDate'"),
        ('kinds = ["email"]', "kinds = []", "rules.2.kinds: "),
        ("most = 20", "most = 5000", "blocks.2.most: Input should be less than or equal to 200"),
        ("most = 20", "at_most = 20", "blocks.2.most: Field required"),
        ("m = 0.85", "m = 0.95", "comparisons.0: Value error, levels whose m, and whose u, are less than 1 together"),
        ("prior = 0.00001", "prior = 0.0", "likelihood.prior: Input should be greater than 0"),
        ('field = "address"', 'field = "name"', ": Value error, each rule and each comparison once"),
        (
            'like = "SAME", m = 0.95, u = 0.000001',
            'like = "NEARLY", m = 0.9, u = 0.1',
            "comparisons.2: Value error, SAME",
        ),
        ("[likelihood]", "[likelihood", "expected TOML in UTF-8"),
    ],
)
def test_wrong_rules_are_refused_by_name(tmp_path: Path, was: str, now: str, told: str) -> None:
    assert SHIPPED.count(was) >= 1
    (file := tmp_path / "mine.toml").write_text(SHIPPED.replace(was, now, 1), "utf-8")
    with pytest.raises(RequestInvalid) as refused:
        read_match_rules(file)
    assert refused.value.code == "MATCHING_INVALID"
    assert str(refused.value).startswith(f"mine.toml: {told}")
