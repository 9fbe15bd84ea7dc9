"""The life of a number as a function of what was said of it: in any order, any number of times."""

from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from cdp.identity.timeline import ORDER, Fact, FactKind, HoldingState, Span, life_of

START = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BEN, CLO = (UUID(int=n) for n in (1, 2, 3))
ROLES = ("USER", "REGISTERED_HOLDER", "PAYER")


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def began(who: UUID, at: int, role: str = "USER", name: str = "") -> Fact:
    holding = UUID(int=who.int << 32 | at << 8 | ROLES.index(role))
    return Fact(FactKind.BEGAN, day(at), name or f"b{who.int}{at}{role}", who, role, holding)


def said(kind: FactKind, who: UUID | None, at: int, row: UUID | None = None) -> Fact:
    return Fact(kind, day(at), f"{kind}{at}", who, None, row)


def told(*facts: Fact) -> list[tuple[int, str, int, int | None, str]]:
    """(customer, role, first day, last day, state) of each span, by customer."""
    return sorted(
        (span.customer_id.int, span.role, _day_of(span.valid_from) or 0, _day_of(span.valid_to), span.state.value)
        for span in life_of(facts).spans
    )


def _day_of(at: datetime | None) -> int | None:
    return None if at is None else (at - START).days


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    """What several sources may say of one number in a month."""
    made = []
    for n in range(draw(st.integers(0, 14))):
        kind, at = draw(st.sampled_from(FactKind)), draw(st.integers(0, 12))
        who = draw(st.sampled_from([ANN, BEN, CLO]))
        if kind is FactKind.BEGAN:
            made.append(began(who, at, draw(st.sampled_from(ROLES)), f"e{n}"))
        elif kind is FactKind.CARD:
            made.append(Fact(kind, day(at), f"e{n}", who, None, UUID(int=900 + n)))
        else:
            anybody = kind in (FactKind.RELEASED, FactKind.QUARANTINED) and draw(st.booleans())
            made.append(Fact(kind, day(at), f"e{n}", None if anybody else who))
    return made


@given(facts(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(some: list[Fact], random: object) -> None:
    shuffled = [*some, *some[::2]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a Random
    assert life_of(shuffled) == life_of(some)


@given(facts())
def test_there_is_at_most_one_holder_in_a_role_at_any_time(some: list[Fact]) -> None:
    spans = sorted(life_of(some).spans, key=lambda span: (span.role, span.valid_from, span.valid_to or day(99)))
    for _, of_role in groupby(spans, key=lambda span: span.role):
        for before, after in pairwise(of_role):
            assert before.valid_to is not None
            assert before.valid_from <= before.valid_to <= after.valid_from


@given(facts())
def test_every_beginning_is_a_span_of_its_own_and_nothing_else_is(some: list[Fact]) -> None:
    spans = life_of(some).spans
    assert sorted(span.holding_id.int for span in spans) == sorted(
        {fact.row_id.int for fact in some if fact.kind is FactKind.BEGAN and fact.row_id}
    )
    for span in spans:
        ended = span.state in (HoldingState.RELEASED, HoldingState.PORTED_OUT)
        assert ended == (span.valid_to is not None)
        assert span.state_at >= span.valid_from


@given(facts(), st.sampled_from([ANN, BEN, CLO]), st.integers(0, 12))
def test_a_release_never_gives_more_time_to_who_releases(some: list[Fact], who: UUID, at: int) -> None:
    """Somebody else may get some: who has nothing any more can end nothing of theirs later."""
    before = {span.holding_id: span for span in life_of(some).spans}
    for span in life_of([*some, Fact(FactKind.RELEASED, day(at), "more", who)]).spans:
        if span.customer_id == who:
            assert (span.valid_to or day(99)) <= (before[span.holding_id].valid_to or day(99))


def test_a_new_holder_begins_where_the_old_one_ends() -> None:
    assert told(began(BEN, 9), began(ANN, 1), said(FactKind.RELEASED, ANN, 5)) == [
        (1, "USER", 1, 5, "RELEASED"),
        (2, "USER", 9, None, "ACTIVE"),
    ]


def test_a_beginning_ends_what_nobody_released() -> None:
    assert told(began(ANN, 1), began(BEN, 9)) == [(1, "USER", 1, 9, "RELEASED"), (2, "USER", 9, None, "ACTIVE")]
    # The release comes late: by then it was somebody else's.
    late = said(FactKind.RELEASED, ANN, 12)
    assert told(began(ANN, 1), began(BEN, 9), late)[1] == (2, "USER", 9, None, "ACTIVE")


def test_when_the_user_gives_it_back_everybody_loses_their_role() -> None:
    roles = began(ANN, 1), began(BEN, 1, "REGISTERED_HOLDER"), began(CLO, 2, "PAYER")
    assert {span[3] for span in told(*roles, said(FactKind.RELEASED, ANN, 7))} == {7}
    # One who only pays gives up paying.
    assert told(*roles, said(FactKind.RELEASED, CLO, 7)) == [
        (1, "USER", 1, None, "ACTIVE"),
        (2, "REGISTERED_HOLDER", 1, None, "ACTIVE"),
        (3, "PAYER", 2, 7, "RELEASED"),
    ]


def test_porting_out_is_not_a_release() -> None:
    life = life_of([began(ANN, 1), said(FactKind.PORTED_OUT, ANN, 5)])
    assert [span.state for span in life.spans] == [HoldingState.PORTED_OUT]
    assert life.free_since is None, "the number is in use elsewhere"
    assert told(began(ANN, 1), said(FactKind.PORTED_OUT, ANN, 5), began(ANN, 8))[1] == (1, "USER", 8, None, "ACTIVE")


def test_a_number_is_free_from_its_release_until_somebody_has_it() -> None:
    released = began(ANN, 1), said(FactKind.RELEASED, ANN, 5)
    assert life_of(released).free_since == day(5)
    assert life_of([*released, said(FactKind.QUARANTINED, None, 6)]).free_since == day(6)
    assert life_of([*released, began(BEN, 9)]).free_since is None


def test_suspensions_and_cards_are_those_of_the_time() -> None:
    card, other = UUID(int=71), UUID(int=72)
    some = [
        began(ANN, 1),
        said(FactKind.CARD, ANN, 1, card),
        said(FactKind.SUSPENDED, ANN, 3),
        said(FactKind.CARD, ANN, 4, other),
        began(BEN, 6),
        said(FactKind.SUSPENDED, ANN, 8),
        said(FactKind.RESUMED, BEN, 9),
    ]
    ann, ben = life_of(some).spans
    assert (ann.sim_id, ann.state, ann.valid_to) == (other, HoldingState.RELEASED, day(6))
    assert (ben.sim_id, ben.state, ben.state_at) == (None, HoldingState.ACTIVE, day(9))


def test_at_one_instant_an_end_is_heard_before_a_beginning() -> None:
    assert sorted(ORDER, key=ORDER.__getitem__)[:3] == [FactKind.RELEASED, FactKind.PORTED_OUT, FactKind.BEGAN]
    assert told(said(FactKind.RELEASED, ANN, 5), began(ANN, 1), began(BEN, 5)) == [
        (1, "USER", 1, 5, "RELEASED"),
        (2, "USER", 5, None, "ACTIVE"),
    ]


def test_a_span_covers_its_first_instant_and_not_its_last() -> None:
    span = Span(UUID(int=9), ANN, "USER", day(1), day(5), HoldingState.RELEASED, day(5))
    assert [span.covers(day(n)) for n in (0, 1, 4, 5)] == [False, True, True, False]
