"""Every answer can be proved: its auditId leads to a place in a signed tree, for those who may know, over HTTP."""

import json
from uuid import uuid4

import pytest

from cdp.auth import Caller, Role
from cdp.proofs import read_tile_path, tile_path
from cdp.sequencer import log_key
from cdp.worker import evidence_jobs, work_once
from privacy.log import HASH_BYTES, leaf_hash
from privacy.notes import checkpoint_of, read_proof, signed_by
from privacy.tree import check_inclusion, hash_of
from tests.journeys.world import APP, HONG_KONG_NUMBER, NOBODYS, PARTNER, PROFILE, World

OFFICER = Caller("desk", role=Role.OFFICER, stores=("cn", "hk"))
OTHER = APP._replace(client="other-app")


async def keep(world: World) -> None:
    """What the worker does every second, twice: words become entries, entries get their places."""
    for _ in range(2):
        assert await work_once(world.house.stores.values(), evidence_jobs(world.house)) == 0


async def proof_for(world: World, caller: Caller | None, audit_id: str, **query: str) -> tuple[int, str]:
    headers = {} if caller is None else {"authorization": f"Bearer {world.token(caller)}"}
    answer = await world.http.get(f"/audit/{audit_id}/proof", headers=headers, params=query)
    return answer.status_code, answer.text


async def test_an_answer_is_proved_by_its_audit_id(world: World) -> None:
    answer = await world.ask(PROFILE, number=HONG_KONG_NUMBER)
    audit_id = answer["extensions"]["privacy"]["auditId"]
    status, told = await proof_for(world, APP, audit_id)
    assert (status, json.loads(told)["errors"][0]["extensions"]["code"]) == (503, "UNAVAILABLE")
    await keep(world)
    for store in ("cn", "hk"):
        status, told = await proof_for(world, APP, audit_id, store=store)
        assert status == 200
        index, proof, note = read_proof(told)
        said = checkpoint_of(note)
        assert signed_by(note, [log_key(world.house.rings[store])]) == {f"cdp/audit/{store}"}
        async with world.house.stores[store].read() as connection:
            [leaf] = [
                row[0]
                for row in await connection.fetch("SELECT entry FROM audit_entry")
                if json.loads(row[0])["id"] == audit_id
            ]
        check_inclusion(leaf_hash(leaf), index, said.size, proof, said.root)
        assert audit_id not in told
    assert await proof_for(world, APP, audit_id) == await proof_for(world, APP, audit_id, store="cn")
    assert await proof_for(world, OFFICER, audit_id) == await proof_for(world, APP, audit_id)


async def test_a_proof_is_for_officers_and_for_whom_it_was_answered(world: World) -> None:
    await world.register(PROFILE)
    partner = PARTNER._replace(purposes=frozenset({"service.care"}))
    own = (await world.ask(PROFILE, APP, number=HONG_KONG_NUMBER))["extensions"]["privacy"]["auditId"]
    of_partner = (await world.ask(PROFILE, partner, number=NOBODYS[0]))["extensions"]["privacy"]["auditId"]
    await keep(world)
    entries = await world.rows("audit_entry")
    refused = {
        "unknown": await proof_for(world, OFFICER, str(uuid4())),
        "no id": await proof_for(world, OFFICER, "everything"),
        "another client": await proof_for(world, OTHER, own),
        "no such store": await proof_for(world, OFFICER, own, store="us"),
        "not their store": await proof_for(world, OFFICER._replace(stores=()), own),
        # In which store their question was written down would tell a partner whether anybody was found.
        "a partner's own": await proof_for(world, partner, of_partner),
        "a partner who is an officer": await proof_for(world, partner._replace(role=Role.OFFICER), of_partner),
    }
    assert set(refused.values()) == {refused["unknown"]}
    assert refused["unknown"][0] == 404
    assert (await proof_for(world, OFFICER, of_partner))[0] == 200
    for caller in (None, PARTNER):
        answer = await world.http.get(f"/audit/{own}/proof", headers={"authorization": "Bearer x"} if caller else {})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert (await world.http.post(f"/audit/{own}/proof")).status_code == 405
    assert await world.rows("audit_entry") == entries


async def test_the_log_is_there_for_whoever_watches_it_and_holds_only_hashes(world: World) -> None:
    assert (await world.http.get("/audit/cn/checkpoint")).status_code == 404
    await world.ask(PROFILE, number=HONG_KONG_NUMBER)
    await keep(world)
    answer = await world.http.get("/audit/cn/checkpoint")
    said = checkpoint_of(answer.text)
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == (
        "text/plain; charset=utf-8",
        "no-store",
    )
    assert 1 < said.size < 256
    partial = await world.http.get(f"/audit/cn/{tile_path(0, 0, said.size)}")
    assert (partial.status_code, partial.headers["content-type"]) == (200, "application/octet-stream")
    assert "immutable" in partial.headers["cache-control"]
    assert len(partial.content) == said.size * HASH_BYTES
    assert hash_of({(0, 0): partial.content}, (0, said.size)) == said.root
    for path in (
        f"cn/{tile_path(0, 0, said.size + 1)}",
        f"cn/{tile_path(0, 0)}",
        f"cn/{tile_path('entries', 0, said.size)}",
        f"cn/{tile_path(0, 1, 1)}",
        f"us/{tile_path(0, 0, said.size)}",
        "cn/tile/0/0.p/1",
        "cn/",
        "",
    ):
        assert (await world.http.get(f"/audit/{path}")).status_code == 404, path


def test_a_tile_has_one_path() -> None:
    assert tile_path(3, 1234067) == "tile/3/x001/x234/067"
    assert tile_path("entries", 5, 7) == "tile/entries/005.p/7"
    for place in ((0, 0, 256), (63, 999, 1), (2, 1000, 255), (0, 1234067, 256)):
        assert read_tile_path(tile_path(*place)) == place


NO_PATHS = """
    tile tile/0 tile/0/0 tile/00/000 tile/0/x000/000 tile/64/000 tile/0/000.p/0 tile/0/000.p/256 tile/0/000.p/01
    tile/-1/000 tile/0/000/ tile/0/٠٠٠ tile/0/x1/000 tile/entries/000 x/0/000
"""


@pytest.mark.parametrize("path", ["", *NO_PATHS.split()])
def test_what_is_no_path_of_a_tile_is_none(path: str) -> None:
    assert read_tile_path(path) is None
