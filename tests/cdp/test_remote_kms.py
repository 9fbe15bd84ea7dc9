"""Key management systems across the network: what they say when they say no, and what nobody is told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdp.aws_kms import AwsKeys, Credentials
from cdp.remote_kms import RemoteKms
from cdp.root_keys import root_kms
from cdp.settings import Settings
from cdp.vault_kms import VaultTransit
from privacy.errors import KmsRefused
from privacy.kms import InsecureFileKms
from tests.key_systems import ACCESS_KEY, SECRET, TOKEN, Aws, Vault, standing_in

CONTEXT = {"tenant": "cdp", "store": "cn"}
GARBAGE = [(500, b"<html>"), (200, b"<html>"), (200, b"[]"), (200, b"{}"), (302, b""), (403, b"{}"), (503, b"sealed")]


@pytest.fixture
def vault() -> Iterator[str]:
    with standing_in(Vault) as (url, system):
        yield url
        assert TOKEN not in repr(system.keys)


@pytest.mark.parametrize(("status", "body"), GARBAGE)
@pytest.mark.parametrize("kind", [Vault, Aws])
async def test_an_answer_that_is_none_is_a_refusal(kind: type[Vault | Aws], status: int, body: bytes) -> None:
    with standing_in(kind) as (url, system):
        keys = VaultTransit(url, "transit", TOKEN) if kind is Vault else AwsKeys("eu-west-1", "cdp", CREDENTIALS, url)
        kms = RemoteKms(keys)
        await kms.rotate("cdp.cn")
        wrapped = await kms.wrap("cdp.cn", b"plain", CONTEXT)
        system.fault |= {"status": status, "body": body}
        for question in (kms.unwrap(wrapped, CONTEXT), kms.wrap("cdp.cn", b"plain", CONTEXT), kms.rotate("cdp.cn")):
            with pytest.raises(KmsRefused) as refused:
                await question
            assert "plain" not in str(refused.value)
        if status != 200:
            with pytest.raises(KmsRefused):
                await kms.health()
        system.fault.clear()
        assert await kms.unwrap(wrapped, CONTEXT) == b"plain"
        assert await kms.current_version("cdp.cn") == 1


CREDENTIALS = Credentials(ACCESS_KEY, SECRET)


async def test_who_is_not_known_is_refused_and_the_secret_is_not_told(vault: str) -> None:
    kms = RemoteKms(VaultTransit(vault, "transit", "hvs.wrong"))
    for question in (kms.health(), kms.rotate("cdp.cn")):
        with pytest.raises(KmsRefused) as refused:
            await question
        assert "hvs" not in str(refused.value)
    with standing_in(Aws) as (url, system):
        for wrong in (Credentials(ACCESS_KEY, "wrong"), Credentials("AKIDOTHER", SECRET)):
            with pytest.raises(KmsRefused) as refused:
                await RemoteKms(AwsKeys("eu-west-1", "cdp", wrong, url)).rotate("cdp.cn")
            assert "wrong" not in str(refused.value)
        assert system.keys == {}


async def test_nobody_there_is_a_refusal() -> None:
    with standing_in(Vault) as (url, _):
        pass
    with pytest.raises(KmsRefused, match="does not answer"):
        await RemoteKms(VaultTransit(url, "transit", TOKEN)).health()


async def test_what_vault_wrapped_aws_does_not_unwrap(vault: str) -> None:
    kms = RemoteKms(VaultTransit(vault, "transit", TOKEN))
    await kms.rotate("cdp.cn")
    wrapped = await kms.wrap("cdp.cn", b"plain", CONTEXT)
    with standing_in(Aws) as (url, _), pytest.raises(KmsRefused, match="this driver"):
        await RemoteKms(AwsKeys("eu-west-1", "cdp", CREDENTIALS, url)).unwrap(wrapped, CONTEXT)


@pytest.mark.parametrize(("days", "state", "window"), [(-400, "PendingDeletion", 7), (8.5, "PendingDeletion", 9)])
async def test_aws_removes_a_key_no_sooner_than_it_may(days: float, state: str, window: int) -> None:
    with standing_in(Aws) as (url, system):
        kms = RemoteKms(AwsKeys("eu-west-1", "cdp", CREDENTIALS, url))
        await kms.rotate("cdp.cn")
        for _ in range(2):
            await kms.destroy("cdp.cn", 1, datetime.now(UTC) + timedelta(days=days))
        (key,) = [kept for kept in system.keys.values() if "state" in kept]
        assert (key["state"], key["days"]) == (state, window)


async def test_aws_disables_a_key_that_may_be_removed_later_than_it_can_wait() -> None:
    with standing_in(Aws) as (url, system):
        kms = RemoteKms(AwsKeys("eu-west-1", "cdp", CREDENTIALS, url))
        await kms.rotate("cdp.cn")
        await kms.destroy("cdp.cn", 1, datetime.now(UTC) + timedelta(days=40))
        assert [kept["state"] for kept in system.keys.values() if "state" in kept] == ["Disabled"]


def test_the_settings_choose_the_system(tmp_path: Path) -> None:
    assert isinstance(root_kms(Settings(home=tmp_path)), InsecureFileKms)
    vault = Settings(kms="vault:https://vault.example:8200/transit", kms_secret=TOKEN)
    aws = Settings(kms="aws:cn-north-1/cdp/prod", kms_secret=f"{ACCESS_KEY}:{SECRET}:session", environment="test")
    assert isinstance(root_kms(vault), RemoteKms)
    assert isinstance(root_kms(aws), RemoteKms)
    assert TOKEN not in repr(vault)
    assert SECRET not in repr(aws)
