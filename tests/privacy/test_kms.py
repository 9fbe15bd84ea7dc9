"""What every key management system must do, and what the file driver refuses.

Vault and AWS are stand-ins that really encrypt and really bind the context (`tests/key_systems.py`).
"""

import asyncio
import base64
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdp.aws_kms import AwsKeys, Credentials
from cdp.remote_kms import RemoteKms
from cdp.vault_kms import VaultTransit
from privacy.errors import KeyUnavailable, KmsRefused, PrivacyError, ValueRefused
from privacy.kms import InsecureFileKms, Kms, version_of
from tests.key_systems import ACCESS_KEY, SECRET, TOKEN, Aws, Vault, standing_in

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
CONTEXT = {"tenant": "cdp", "store": "cn", "kind": "KEK", "epoch": "1"}
PLAIN = bytes(range(64))
AWS = Credentials(ACCESS_KEY, SECRET, "a session")


@pytest.fixture(params=["file", "vault", "aws"])
def open_driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Kms]]:
    """Opens the driver again on the same keys, as a second process would."""
    if request.param == "file":
        yield lambda: InsecureFileKms(tmp_path / "keys", "test")
    elif request.param == "vault":
        with standing_in(Vault) as (url, _):
            yield lambda: RemoteKms(VaultTransit(url, "transit", TOKEN))
    else:
        with standing_in(Aws) as (url, _):
            yield lambda: RemoteKms(AwsKeys("eu-west-1", "cdp", AWS, url))


@pytest.fixture
def kms(open_driver: Callable[[], Kms]) -> Kms:
    return open_driver()


class TestConformance:
    """Every driver passes all of these."""

    async def test_what_was_wrapped_unwraps(self, kms: Kms, open_driver: Callable[[], Kms]) -> None:
        assert await kms.rotate("cdp.cn") == 1
        wrapped = await kms.wrap("cdp.cn", PLAIN, CONTEXT)
        assert PLAIN not in wrapped
        assert version_of(wrapped) == 1
        assert await kms.unwrap(wrapped, dict(reversed(CONTEXT.items()))) == PLAIN
        assert await open_driver().unwrap(wrapped, CONTEXT) == PLAIN

    @pytest.mark.parametrize(
        "changed",
        [
            {},
            {**CONTEXT, "store": "hk"},
            {**CONTEXT, "tenant": "other"},
            {**CONTEXT, "kind": "INDEX"},
            {**CONTEXT, "epoch": "2"},
            {**CONTEXT, "more": ""},
            {key: value for key, value in CONTEXT.items() if key != "epoch"},
            {**CONTEXT, "tenant": "cn", "store": "cdp"},
            {**CONTEXT, "tenant": "cd", "store": "pcn"},
        ],
        ids=str,
    )
    async def test_a_changed_context_does_not_unwrap(self, kms: Kms, changed: dict[str, str]) -> None:
        await kms.rotate("cdp.cn")
        wrapped = await kms.wrap("cdp.cn", PLAIN, CONTEXT)
        with pytest.raises(KmsRefused):
            await kms.unwrap(wrapped, changed)

    async def test_an_altered_wrap_does_not_unwrap(self, kms: Kms) -> None:
        await kms.rotate("cdp.cn")
        await kms.rotate("cdp.cn")
        wrapped = await kms.wrap("cdp.cn", PLAIN, CONTEXT)
        head = range(16 * 8)
        for bit in (*head, *range(len(head), len(wrapped) * 8, 3), len(wrapped) * 8 - 1):
            altered = bytearray(wrapped)
            altered[bit // 8] ^= 1 << bit % 8
            with pytest.raises(PrivacyError):
                await kms.unwrap(bytes(altered), CONTEXT)
        for length in range(0, len(wrapped), 3):
            with pytest.raises(PrivacyError):
                await kms.unwrap(wrapped[:length], CONTEXT)

    async def test_older_versions_unwrap_after_rotation(self, kms: Kms) -> None:
        await kms.rotate("cdp.cn")
        old = await kms.wrap("cdp.cn", PLAIN, CONTEXT)
        assert await kms.rotate("cdp.cn") == 2
        assert await kms.current_version("cdp.cn") == 2
        assert await kms.wrap("cdp.cn", PLAIN, CONTEXT) != old
        assert await kms.unwrap(old, CONTEXT) == PLAIN

    async def test_a_destroyed_version_is_refused_at_once_and_others_are_not(self, kms: Kms) -> None:
        await kms.rotate("cdp.cn")
        old = await kms.wrap("cdp.cn", PLAIN, CONTEXT)
        await kms.rotate("cdp.cn")
        new = await kms.wrap("cdp.cn", PLAIN, CONTEXT)
        await kms.destroy("cdp.cn", 1, NOON)
        with pytest.raises(KeyUnavailable):
            await kms.unwrap(old, CONTEXT)
        assert await kms.unwrap(new, CONTEXT) == PLAIN

    async def test_a_key_whose_newest_version_is_destroyed_wraps_nothing(self, kms: Kms) -> None:
        await kms.rotate("cdp.cn")
        await kms.rotate("cdp.cn")
        await kms.destroy("cdp.cn", 2, NOON)
        with pytest.raises(KeyUnavailable):
            await kms.wrap("cdp.cn", PLAIN, CONTEXT)
        with pytest.raises(KeyUnavailable):
            await kms.current_version("cdp.cn")
        assert await kms.rotate("cdp.cn") == 3

    async def test_a_key_that_is_not_there_is_refused(self, kms: Kms) -> None:
        with pytest.raises(KeyUnavailable):
            await kms.current_version("cdp.hk")
        with pytest.raises(KeyUnavailable):
            await kms.wrap("cdp.hk", PLAIN, CONTEXT)
        await kms.rotate("cdp.cn")
        with pytest.raises(KeyUnavailable):
            await kms.destroy("cdp.cn", 2, NOON)

    async def test_keys_do_not_unwrap_for_each_other(self, kms: Kms) -> None:
        await kms.rotate("cdp.cn")
        await kms.rotate("cdp.hk")
        wrapped = await kms.wrap("cdp.cn", PLAIN, CONTEXT)
        with pytest.raises(KmsRefused):
            await kms.unwrap(wrapped.replace(b"cdp.cn", b"cdp.hk"), CONTEXT)

    async def test_a_key_of_another_spelling_is_refused(self, kms: Kms) -> None:
        for key_id in ("", "../cdp", "A", "cdp cn"):
            with pytest.raises(ValueRefused):
                await kms.rotate(key_id)

    async def test_a_destruction_needs_an_instant(self, kms: Kms) -> None:
        await kms.rotate("cdp.cn")
        with pytest.raises(ValueRefused):
            await kms.destroy("cdp.cn", 1, NOON.replace(tzinfo=None))
        assert await kms.current_version("cdp.cn") == 1

    async def test_ten_versions_have_their_order(self, kms: Kms) -> None:
        assert [await kms.rotate("cdp.cn") for _ in range(11)] == list(range(1, 12))
        assert await kms.current_version("cdp.cn") == 11
        assert version_of(await kms.wrap("cdp.cn", PLAIN, CONTEXT)) == 11

    async def test_health(self, kms: Kms) -> None:
        await kms.rotate("cdp.cn")
        await kms.health()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def modes(folder: Path) -> tuple[int, set[int]]:
    """The mode of the folder, and those of the files in it."""
    return folder.stat().st_mode & 0o777, {path.stat().st_mode & 0o777 for path in folder.iterdir()}


def change_mode(path: Path, mode: int) -> None:
    path.chmod(mode)


def key_files(folder: Path) -> list[Path]:
    return list(folder.glob("*.json"))


@pytest.fixture
def files(folder: Path) -> InsecureFileKms:
    return InsecureFileKms(folder, "test")


@pytest.mark.parametrize("environment", ["production", "Production", " production "])
def test_the_file_driver_refuses_production(folder: Path, environment: str) -> None:
    with pytest.raises(KmsRefused, match="production"):
        InsecureFileKms(folder, environment)
    assert not folder.exists()


async def test_files_are_for_their_owner_alone(files: InsecureFileKms, folder: Path) -> None:
    await files.rotate("cdp.cn")
    assert modes(folder) == (0o700, {0o600})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o700, 0o666])
async def test_a_file_open_to_others_is_refused(files: InsecureFileKms, folder: Path, mode: int) -> None:
    await files.rotate("cdp.cn")
    wrapped = await files.wrap("cdp.cn", PLAIN, CONTEXT)
    change_mode(folder / "cdp.cn.json", mode)
    with pytest.raises(KmsRefused, match="chmod 600"):
        await files.unwrap(wrapped, CONTEXT)
    with pytest.raises(KmsRefused, match="chmod 600"):
        await files.health()
    with pytest.raises(KmsRefused, match="chmod 600"):
        await files.rotate("cdp.cn")


async def test_a_folder_open_to_others_is_refused(files: InsecureFileKms, folder: Path) -> None:
    change_mode(folder, 0o750)
    with pytest.raises(KmsRefused, match="chmod 700"):
        InsecureFileKms(folder, "test")
    with pytest.raises(KmsRefused, match="chmod 700"):
        await files.health()
    with pytest.raises(KmsRefused, match="chmod 700"):
        await files.rotate("cdp.cn")
    assert key_files(folder) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KmsRefused):
        InsecureFileKms(tmp_path / "file", "test")


async def test_a_folder_that_went_away_is_not_healthy(files: InsecureFileKms, folder: Path) -> None:
    shutil.rmtree(folder)
    with pytest.raises(KmsRefused):
        await files.health()


async def test_a_link_is_not_followed(files: InsecureFileKms, folder: Path, tmp_path: Path) -> None:
    await files.rotate("cdp.cn")
    (folder / "cdp.cn.json").rename(tmp_path / "elsewhere")
    (folder / "cdp.cn.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KmsRefused):
        await files.current_version("cdp.cn")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"versions": {}}', '{"versions": {"one": {}}}', '{"versions": 1}', "\udcff"]
)
async def test_a_damaged_file_is_refused(files: InsecureFileKms, folder: Path, text: str) -> None:
    await files.rotate("cdp.cn")
    (folder / "cdp.cn.json").write_text(text, errors="surrogateescape")
    with pytest.raises(KmsRefused, match="damaged"):
        await files.current_version("cdp.cn")


@pytest.mark.parametrize("key_id", ["", "../cdp", "a/b", "A", "a\n", "é", ".lock", "a" * 101])
async def test_the_id_of_a_key_is_not_a_path(files: InsecureFileKms, folder: Path, key_id: str) -> None:
    with pytest.raises(ValueRefused):
        await files.rotate(key_id)
    assert key_files(folder) == []


async def test_destroyed_bytes_go_when_their_time_has_come(files: InsecureFileKms, folder: Path) -> None:
    await files.rotate("cdp.cn")
    await files.rotate("cdp.cn")
    secret = json.loads((folder / "cdp.cn.json").read_text())["versions"]["1"]["secret"]
    assert len(base64.b64decode(secret)) == 64
    await files.destroy("cdp.cn", 1, NOON)
    assert files.sweep(NOON - timedelta(seconds=1)) == 0
    assert secret in (folder / "cdp.cn.json").read_text()
    assert files.sweep(NOON) == 1
    assert files.sweep(NOON) == 0
    assert secret not in (folder / "cdp.cn.json").read_text()
    assert await files.current_version("cdp.cn") == 2


def test_rotations_at_once_lose_no_version(folder: Path) -> None:
    async def rotate_ten_times() -> None:
        driver = InsecureFileKms(folder, "test")
        for _ in range(10):
            await driver.rotate("cdp.cn")

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(asyncio.run, rotate_ten_times()) for _ in range(4)]:
            done.result()
    assert asyncio.run(InsecureFileKms(folder, "test").current_version("cdp.cn")) == 40
