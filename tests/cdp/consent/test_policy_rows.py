"""The policy in its tables: whole or not at all, one version after the other."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cdp.consent.policy_rows import load_policy, read_past_policy, read_policy, starter_rows, write_policy
from cdp.errors import RequestInvalid
from cdp.stores import Connection, Store, Stores
from privacy.errors import PolicyInvalid
from privacy.rows import PolicyRows
from privacy.rulebook import Policy
from tests.privacy.starter import starter_rows as starter_rows_of_the_file

AT = datetime(2026, 3, 3, tzinfo=UTC)
STARTER = starter_rows()
NEXT = replace(STARTER, version=2, rules=(replace(STARTER.rules[0], law="PIPL art. 13"), *STARTER.rules[1:]))
NOTICE = STARTER.notices[0]


@pytest.fixture
async def ruled(stores: Stores) -> Stores:
    """Two stores with the starter policy."""
    assert await load_policy(stores.values(), STARTER, AT) == ["cn", "hk"]
    return stores


async def policy_of(store: Store) -> Policy:
    async with store.read() as connection:
        return await read_policy(connection)


async def laws_of(stores: Stores) -> dict[str, tuple[int, str]]:
    """Store -> version of its policy, and where its first rule is written."""
    found = {name: await policy_of(store) for name, store in stores.items()}
    return {
        name: (policy.version, next(rule.law for rule in policy.rules if rule.id == "cn.service"))
        for name, policy in found.items()
    }


def test_the_packaged_file_is_the_one_that_officers_read() -> None:
    assert starter_rows() == starter_rows_of_the_file()


async def test_rows_come_back_as_they_were_written(ruled: Stores) -> None:
    policy, written = await policy_of(ruled["hk"]), Policy.of(STARTER)
    assert (policy.version, policy.rules, policy.notices) == (1, written.rules, written.notices)
    assert (set(policy.bases), set(policy.transfer_bases)) == (set(STARTER.bases), set(STARTER.transfer_bases))
    assert (policy.purposes, policy.categories) == (written.purposes, written.categories)
    assert policy.sensitivities == written.sensitivities


async def test_the_next_version_is_loaded_into_every_store(ruled: Stores) -> None:
    assert await load_policy(ruled.values(), NEXT, AT) == ["cn", "hk"]
    assert await laws_of(ruled) == {"cn": (2, "PIPL art. 13"), "hk": (2, "PIPL art. 13")}
    assert await load_policy(ruled.values(), replace(STARTER, version=7), AT) == ["cn", "hk"]
    assert await laws_of(ruled) == {"cn": (7, STARTER.rules[0].law), "hk": (7, STARTER.rules[0].law)}


async def test_a_load_that_broke_off_between_two_stores_is_repeated(ruled: Stores) -> None:
    await load_policy([ruled["cn"]], NEXT, AT)
    assert await load_policy(ruled.values(), NEXT, AT) == ["hk"]
    assert await laws_of(ruled) == {"cn": (2, "PIPL art. 13"), "hk": (2, "PIPL art. 13")}


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        (STARTER, "POLICY_UNCHANGED"),
        (replace(STARTER, version=2, rules=STARTER.rules[::-1]), "POLICY_UNCHANGED"),
        (replace(NEXT, version=1), "POLICY_NOT_NEWER"),
        (replace(NEXT, version=0), "POLICY_NOT_NEWER"),
        (replace(NEXT, notices=(replace(NOTICE, sha256="0" * 64),)), "NOTICE_CHANGED"),
    ],
)
async def test_what_cannot_follow_is_refused_by_all(ruled: Stores, rows: PolicyRows, code: str) -> None:
    before = await laws_of(ruled)
    with pytest.raises(RequestInvalid) as refused:
        await load_policy(ruled.values(), rows, AT)
    assert refused.value.code == code
    assert await laws_of(ruled) == before


async def test_one_store_that_refuses_keeps_the_others_as_they_are(ruled: Stores) -> None:
    await load_policy([ruled["hk"]], replace(NEXT, version=5), AT)
    with pytest.raises(RequestInvalid, match=r"store hk: version 5 has the same content"):
        await load_policy(ruled.values(), replace(NEXT, version=6), AT)
    with pytest.raises(RequestInvalid, match=r"store hk: expected version 6 or later, found 3"):
        await load_policy(ruled.values(), replace(NEXT, version=3, rules=NEXT.rules[1:]), AT)
    assert {name: version for name, (version, _) in (await laws_of(ruled)).items()} == {"cn": 1, "hk": 5}


async def test_rows_that_make_no_sense_are_not_written(ruled: Stores) -> None:
    with pytest.raises(PolicyInvalid, match=r"rule cn\.service: given twice"):
        await load_policy(ruled.values(), replace(NEXT, rules=(*NEXT.rules, NEXT.rules[0])), AT)
    assert await laws_of(ruled) == {"cn": (1, STARTER.rules[0].law), "hk": (1, STARTER.rules[0].law)}


async def test_a_notice_keeps_its_text_for_ever(ruled: Stores) -> None:
    """Also under a new version, and after it was taken out of the policy."""
    newer = replace(NOTICE, version=2, sha256="0" * 64)
    with pytest.raises(RequestInvalid, match=NOTICE.id):
        await load_policy(ruled.values(), replace(NEXT, notices=(newer,)), AT)
    await load_policy(ruled.values(), replace(NEXT, notices=()), AT)
    with pytest.raises(RequestInvalid) as refused:
        await load_policy(ruled.values(), replace(NEXT, version=3, notices=(newer,)), AT)
    assert refused.value.code == "NOTICE_CHANGED"
    assert (await policy_of(ruled["cn"])).notices == {}
    again = replace(NOTICE, version=2, superseded_at=AT)
    await load_policy(ruled.values(), replace(NEXT, version=4, notices=(again,)), AT)
    assert (await policy_of(ruled["cn"])).notices == {NOTICE.id: again}


async def test_every_version_that_was_replaced_is_kept(ruled: Stores) -> None:
    until = replace(STARTER.transfer_bases[0], expires_at=AT, cap=7, used=3)
    second = replace(NEXT, transfer_bases=(until,), notices=(replace(NOTICE, superseded_at=AT),))
    await load_policy(ruled.values(), second, AT)
    await load_policy(ruled.values(), replace(STARTER, version=3), AT)
    async with ruled["cn"].read() as connection:
        kept = {version: await read_past_policy(connection, version) for version in range(1, 5)}
    for version, rows in ((1, STARTER), (2, second)):
        found, written = kept[version], Policy.of(rows)
        assert found is not None
        for name in ("version", "purposes", "categories", "sensitivities", "rules", "notices"):
            assert getattr(found, name) == getattr(written, name), name
        assert set(found.bases) == set(written.bases)
        assert set(found.transfer_bases) == set(written.transfer_bases)
    assert kept[3] is None, "it is in force"
    assert kept[4] is None


class Interrupted:
    """A connection during whose first statements somebody else does something."""

    def __init__(self, connection: Connection, between: Callable[[], Any]) -> None:
        self._connection, self._between, self.statements = connection, between, 0

    async def fetch(self, *asked: Any) -> Any:
        return await self._ask(self._connection.fetch, asked)

    async def fetchval(self, *asked: Any) -> Any:
        return await self._ask(self._connection.fetchval, asked)

    async def _ask(self, how: Callable[..., Any], asked: tuple[Any, ...]) -> Any:
        self.statements += 1
        if self.statements == 4:
            await self._between()
        return await how(*asked)


async def test_a_load_while_the_policy_is_read_does_not_mix_two_versions(ruled: Stores) -> None:
    store = ruled["cn"]

    async def load() -> None:
        async with store.transaction() as connection:
            await write_policy(connection, replace(NEXT, bases=(), version=2), AT)

    async with store.read() as connection:
        interrupted = Interrupted(connection, load)
        policy = await read_policy(interrupted)
    assert interrupted.statements == 18
    assert (policy.version, policy.bases) == (2, ())
    assert policy.rules == Policy.of(NEXT).rules
