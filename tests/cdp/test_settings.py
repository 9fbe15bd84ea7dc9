"""Settings: each wrong one is one clear line that starts with its name and never repeats its value."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from cdp.errors import RequestInvalid, SettingsInvalid
from cdp.settings import Settings, read_settings

SECRET = "postgresql://cdp:hunter2@db/cn"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(f"CDP_{field.upper()}", raising=False)


def test_a_laptop_needs_no_setting() -> None:
    settings = read_settings()
    assert (settings.home, settings.stores, settings.store_names) == (Path(".cdp"), None, ("cn", "hk"))
    assert (settings.store_of("CN-GD"), settings.store_of("CN"), settings.store_of("HK")) == ("cn", "cn", "hk")
    assert (settings.jurisdiction_of("cn"), settings.jurisdiction_of("hk")) == ("CN", "HK")


def test_stores_and_regions_are_read_from_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_STORES", '{"south": "postgresql:///south", "north": "postgres://db/north"}')
    monkeypatch.setenv("CDP_REGIONS", '{"CN-GD": "south", "CN": "north"}')
    settings = read_settings()
    assert settings.store_names == ("south", "north")
    assert (settings.store_of("CN-GD"), settings.store_of("CN-BJ")) == ("south", "north")
    assert settings.jurisdiction_of("south") == "CN"


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("STORES", "{not json", "CDP_STORES: must be a JSON object"),
        ("STORES", "{}", "CDP_STORES: at least one store is needed"),
        ("STORES", '{"CN": "postgresql://db/cn"}', "CDP_STORES: a store's name is lower-case letters, digits and _"),
        (
            "STORES",
            '{"cn": "mysql://cdp:hunter2@db/cn"}',
            "CDP_STORES: store cn needs a URL that begins with postgresql",
        ),
        ("STORES", f'{{"mo": "{SECRET}"}}', "CDP_REGIONS: no region is kept in store mo"),
        ("REGIONS", '{"china": "cn"}', "CDP_REGIONS: a region is an ISO 3166 code"),
        ("REGIONS", '{"CN": "cn", "HK": "cn"}', "CDP_REGIONS: store cn would hold data of several jurisdictions"),
        ("ENVIRONMENT", "prod", "CDP_ENVIRONMENT: Input should be 'development', 'test' or 'production'"),
        ("ENVIRONMENT", "production", "CDP_STORES: must be set when CDP_ENVIRONMENT is production"),
        ("KMS", "vault:http://hunter2/transit", "CDP_KMS: expected file:FOLDER, vault:https://HOST/MOUNT or aws:"),
        ("KMS", "vault:https://vault/transit", "CDP_KMS_SECRET: expected the token of Vault"),
        ("KMS", "aws:eu-west-1/cdp", "CDP_KMS_SECRET: expected ACCESS_KEY:SECRET"),
        ("SUITES", '{"cn": "hunter2"}', "CDP_SUITES: Input should be 'AES-256-GCM' or 'SM4-GCM'"),
        ("SUITES", '{"mo": "SM4-GCM"}', "CDP_SUITES: no store is called mo"),
        ("KEY_STORE", '{"mo": "postgresql:///keys"}', "CDP_KEY_STORE: no store is called mo"),
        ("KEY_STORE", '{"cn": "hunter2"}', "CDP_KEY_STORE: store cn needs a URL that begins with postgresql"),
        ("GATEWAY_URL", "ftp://hunter2@gateway/sms", "CDP_GATEWAY_URL: a URL that begins with https://"),
        ("GATEWAY_TOKEN", "hunter2 and a space", "CDP_GATEWAY_TOKEN: printable ASCII without spaces"),
        ("POOL_SIZE", "0", "CDP_POOL_SIZE: Input should be greater than or equal to 1"),
        ("BODY_BYTES", "a lot", "CDP_BODY_BYTES: Input should be a valid integer"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str) -> None:
    monkeypatch.setenv(f"CDP_{name}", value)
    with pytest.raises(SettingsInvalid) as refused:
        read_settings()
    assert len(refused.value.problems) == 1
    assert refused.value.problems[0].startswith(line)
    assert "hunter2" not in str(refused.value)
    assert "\n" not in refused.value.problems[0]


def test_keys_have_a_database_of_their_own_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_STORES", f'{{"cn": "{SECRET}"}}')
    monkeypatch.setenv("CDP_KEY_STORE", f'{{"cn": "{SECRET}"}}')
    with pytest.raises(SettingsInvalid, match="CDP_KEY_STORE: the keys of store cn need a database of their own"):
        read_settings()


@pytest.mark.parametrize(
    ("url", "line"),
    [
        (None, "CDP_GATEWAY_URL: must be set when CDP_ENVIRONMENT is production"),
        ("http://hunter2@gateway", "CDP_GATEWAY_URL: must begin with https:// when CDP_ENVIRONMENT is production"),
    ],
)
def test_production_needs_a_gateway_that_is_reached_safely(
    monkeypatch: pytest.MonkeyPatch, url: str | None, line: str
) -> None:
    for name, value in (
        ("STORES", f'{{"cn": "{SECRET}"}}'),
        ("TOKEN_KEYS", "https://issuer/jwks"),
        ("GATEWAY_URL", url),
    ):
        if value is not None:
            monkeypatch.setenv(f"CDP_{name}", value)
    monkeypatch.setenv("CDP_ENVIRONMENT", "production")
    with pytest.raises(SettingsInvalid) as refused:
        read_settings()
    assert refused.value.problems == (line,)
    monkeypatch.setenv("CDP_GATEWAY_URL", "https://gateway/messages")
    assert read_settings().gateway_url == "https://gateway/messages"


def test_every_wrong_setting_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_POOL_SIZE", "none")
    monkeypatch.setenv("CDP_LOG_LEVEL", "LOUD")
    with pytest.raises(SettingsInvalid) as refused:
        read_settings()
    assert [line.split(":")[0] for line in refused.value.problems] == ["CDP_LOG_LEVEL", "CDP_POOL_SIZE"]


def test_settings_do_not_change_and_do_not_show_passwords() -> None:
    settings = Settings(stores={"cn": SECRET}, gateway_token="hunter2")
    with pytest.raises(ValidationError):
        settings.tenant = "other"
    assert "hunter2" not in repr(settings)


def test_a_region_without_a_store_is_a_coded_refusal() -> None:
    with pytest.raises(RequestInvalid) as refused:
        Settings().store_of("MO")
    assert refused.value.code == "REGION_UNKNOWN"
    with pytest.raises(RequestInvalid) as refused:
        Settings().jurisdiction_of("mo")
    assert refused.value.code == "STORE_UNKNOWN"
