"""Whether a product works, and whether it should: the same whatever came first, and each suspension for itself."""

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from cdp.billing.standing import Expectation, Holdings, State, Turn, has_circle, state_of

START = datetime(2026, 10, 12, tzinfo=UTC)
ENDS = {"ARREARS": "PAYMENT", "LOST": "RELIANCE", "*": "ITSELF"}
LINE, MESSAGING, RICH = (UUID(int=n) for n in (1, 2, 3))

turns = st.lists(
    st.builds(
        Turn,
        st.integers(0, 6).map(lambda hour: START + timedelta(hours=hour)),
        st.sampled_from(("active", "suspended", "terminated")),
        st.sampled_from(("", "ARREARS", "FRAUD")),
    ),
    max_size=8,
)


def at(hour: float) -> datetime:
    return START + timedelta(hours=hour)


def state(*said: tuple[float, str, str]) -> State:
    found = state_of(Turn(at(hour), status, reason) for hour, status, reason in said)
    assert found is not None
    return found


ON, OFF = (0, "active", ""), (8, "suspended", "ARREARS")


@given(turns, st.randoms())
def test_the_order_and_the_number_of_arrivals_do_not_matter(said: list[Turn], chance: Random) -> None:
    again = said + said[: len(said) // 2]
    chance.shuffle(again)
    assert state_of(again) == state_of(said)


@given(turns)
def test_a_state_is_as_a_second_reading_of_the_rule_has_it(said: list[Turn]) -> None:
    """Hour by hour: an end, a suspension, and what says it works are taken in, in that order of precedence."""
    found = state_of(said)
    assert (found is None) == (not said)
    if found is None:
        return
    standing: dict[str, datetime] = {}
    over: datetime | None = None
    for hour in sorted({turn.at for turn in said}):
        now = [turn for turn in said if turn.at == hour]
        for turn in now:
            if turn.status == "suspended":
                standing.setdefault(turn.reason, hour)
        for turn in now:
            if turn.status == "active":
                lifted = list(standing) if not turn.reason else [turn.reason]
                for reason in lifted:
                    standing.pop(reason, None)
                over = over if turn.reason else None
        if any(turn.status == "terminated" for turn in now):
            over = over or hour
    if over is not None:
        assert (found.status, found.since) == ("terminated", over)
    elif standing:
        assert (found.status, found.since, found.standing) == ("suspended", min(standing.values()), standing)
    else:
        assert found.status == "active"


def test_a_suspension_lasts_for_its_own_reason() -> None:
    both = state(ON, OFF, (9, "suspended", "FRAUD"), (12, "active", "ARREARS"))
    assert both == State("suspended", at(9), {"FRAUD": at(9)}, at(12))
    assert state(ON, OFF, (9, "suspended", "ARREARS"), (12, "active", "")) == State("active", at(12), {})
    assert state(ON, OFF, (12, "active", ""), (13, "active", "")).since == at(12)
    assert state(ON, OFF, (9, "suspended", "ARREARS")).since == at(8)
    assert state(ON, OFF, (9, "terminated", "GONE"), (10, "suspended", "FRAUD")).status == "terminated"
    assert state(ON, (9, "terminated", "GONE"), (10, "active", "")) == State("active", at(10), {})


def held(line: State, messaging: State, rich: State | None = None, /, **paid: float) -> Holdings:
    states = {LINE: line, MESSAGING: messaging} | ({RICH: rich} if rich else {})
    since = {{"line": LINE, "messaging": MESSAGING}[name]: at(hour) for name, hour in paid.items()}
    return Holdings(states, {MESSAGING: {LINE}, RICH: {MESSAGING}}, ENDS, since)


def test_what_relies_on_a_line_should_return_with_it_one_after_the_other() -> None:
    chain = held(state(ON, OFF, (12, "active", "")), state(ON, OFF), state(ON, OFF))
    assert [chain.expected(one) for one in (LINE, MESSAGING, RICH)] == [Expectation("active", at(12))] * 3
    assert [chain.behind(one) for one in (LINE, MESSAGING, RICH)] == [None, MESSAGING, MESSAGING]
    later = held(state(ON, OFF, (12, "active", "")), state(ON, OFF, (13, "active", "")), state(ON, OFF))
    assert (later.expected(RICH), later.behind(RICH)) == (Expectation("active", at(13)), RICH)


def test_what_relies_on_a_line_should_go_off_with_it() -> None:
    chain = held(state(ON, OFF), state(ON), state(ON))
    assert [chain.expected(one) for one in (LINE, MESSAGING, RICH)] == [Expectation("suspended", at(8))] * 3
    assert [chain.behind(one) for one in (LINE, MESSAGING, RICH)] == [None, MESSAGING, MESSAGING]


def test_a_suspension_of_its_own_stays_though_the_line_returned() -> None:
    back = state(ON, OFF, (12, "active", ""))
    for reason in ("REQUEST", "FRAUD", "whatever else"):
        own = state(ON, (7, "suspended", reason), OFF)
        assert held(back, own).expected(MESSAGING) == Expectation("suspended", at(7))
        assert (held(back, own).behind(MESSAGING), held(back, own).reason(MESSAGING)) == (None, reason)
    ended = state(ON, OFF, (9, "suspended", "FRAUD"), (13, "active", "FRAUD"))
    assert held(back, ended).expected(MESSAGING) == Expectation("active", at(13))
    assert held(back, state(ON, (7, "suspended", "LOST"), OFF)).expected(MESSAGING) == Expectation("active", at(12))


def test_a_return_before_the_suspension_is_not_its_end_but_a_payment_after_it_is() -> None:
    late = state(ON, (13, "suspended", "ARREARS"))
    back = state(ON, OFF, (12, "active", ""))
    assert held(back, late).expected(MESSAGING) == Expectation("suspended", at(13))
    assert held(back, late, messaging=12.5).expected(MESSAGING) == Expectation("suspended", at(13))
    assert held(back, late, messaging=14).expected(MESSAGING) == Expectation("active", at(14))
    lost = state(ON, (13, "suspended", "LOST"))
    assert held(back, lost, messaging=14).expected(MESSAGING) == Expectation("suspended", at(13))


def test_a_line_that_stays_off_after_the_payment_is_what_the_others_wait_behind() -> None:
    chain = held(state(ON, OFF), state(ON, OFF), line=12)
    assert [chain.expected(one) for one in (LINE, MESSAGING)] == [Expectation("active", at(12))] * 2
    assert [chain.behind(one) for one in (LINE, MESSAGING)] == [LINE, LINE]


@given(st.dictionaries(st.integers(0, 5), st.sets(st.integers(0, 5), max_size=3), max_size=6))
def test_a_circle_is_seen(drawn: dict[int, set[int]]) -> None:
    graph = {UUID(int=one): {UUID(int=other) for other in others} for one, others in drawn.items()}
    reached = {one: set(others) for one, others in graph.items()}
    for _ in range(6):
        reached = {one: others.union(*(reached.get(o, set()) for o in others)) for one, others in reached.items()}
    assert has_circle(graph) == any(one in others for one, others in reached.items())
