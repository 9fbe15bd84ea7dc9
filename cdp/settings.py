"""What can be set from outside: `CDP_*` in the environment, read once and passed on in parts."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from cdp.errors import RequestInvalid, SettingsInvalid
from cdp.values import store_of
from privacy.errors import ProofRefused
from privacy.notes import NoteKey

PREFIX = "CDP_"
STORE_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
REGION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
NOT_JSON = "must be a JSON object"
KMS = re.compile(
    r"file:.*|vault:(https://[^/@?#]+|http://(127\.0\.0\.1|localhost)(:\d+)?)/[\w.-]+|aws:[a-z0-9-]+/[\w/-]+", re.ASCII
)
POSTGRES_SCHEMES = ("postgresql://", "postgres://")

Seconds = Annotated[float, Field(gt=0, le=3600)]


class WitnessSetting(BaseModel):
    """Where a witness is asked, and the key that its signatures are verified with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^https?://")
    key: str

    @field_validator("key")
    @classmethod
    def _key_is_one(cls, key: str) -> str:
        try:
            NoteKey.read(key)
        except ProofRefused:
            raise ValueError("a witness needs its key as `cdp witness` prints it") from None
        return key


def _one_of_our_systems(kms: str) -> str:
    if not KMS.fullmatch(kms):
        raise ValueError("expected file:FOLDER, vault:https://HOST/MOUNT or aws:REGION/ALIAS-PREFIX")
    return kms


def _on_the_web(url: str | None) -> str | None:
    if url is not None and not url.startswith(("https://", "http://")):
        raise ValueError("a URL that begins with https://")
    return url


class IntakeSettings(BaseSettings):
    """How events come in."""

    events_bytes: int = Field(default=4 << 20, ge=1024, le=1 << 30, description="largest body of /v1/events, unpacked")
    events_per_second: int = Field(default=1000, ge=1, description="events a second of one client, by a token")
    intake_queue: int = Field(default=32, ge=1, le=10_000, description="requests with events inside, per store")
    intake_writers: int = Field(default=4, ge=1, le=500, description="how many of them are written at once")
    stream_secret: str | None = Field(default=None, repr=False, description="USER:PASSWORD or token of `cdp consume`")


class Settings(IntakeSettings):
    """Every setting with its default; `CDP_` and the field's name in capitals is its name in the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    home: Path = Field(default=Path(".cdp"), description="folder of keys, tokens and the embedded PostgreSQL")
    stores: dict[str, str] | None = Field(
        default=None, repr=False, description="JSON: store -> PostgreSQL URL; unset: the embedded PostgreSQL"
    )
    key_store: dict[str, str] = Field(
        default={}, repr=False, description="JSON: store -> PostgreSQL URL of its keys; unset: they are with the data"
    )
    regions: dict[str, str] = Field(
        default={"CN": "cn", "HK": "hk"}, description="JSON: region or jurisdiction -> store that keeps it"
    )
    tenant: str = Field(
        default="cdp", min_length=1, description="bound into every key and sealed cell; never change it"
    )
    legal_entity: str = Field(default="OPERATOR", min_length=1, description="the operator itself, as recipient of data")
    kms: Annotated[str, AfterValidator(_one_of_our_systems)] = Field(
        default="file:", description="root keys: file:FOLDER, vault:https://HOST/MOUNT or aws:REGION/ALIAS-PREFIX"
    )
    kms_secret: str | None = Field(
        default=None, repr=False, description="the token of Vault, or ACCESS_KEY:SECRET or ACCESS_KEY:SECRET:SESSION"
    )
    suites: dict[str, Literal["AES-256-GCM", "SM4-GCM"]] = Field(
        default={}, description="JSON: store -> how it writes its cells; unset: AES-256-GCM"
    )
    token_issuer: str = Field(default="https://cdp.local", min_length=1, description="the `iss` a token must carry")
    token_audience: str = Field(default="cdp", min_length=1, description="the `aud` a token must carry")
    token_keys: str | None = Field(
        default=None, description="JWKS file or https URL; unset: tokens/jwks.json under home, made by `cdp token`"
    )
    gateway_url: Annotated[str | None, AfterValidator(_on_the_web)] = Field(
        default=None, description="where messages to customers are POSTed; unset: files under home, for a laptop"
    )
    gateway_token: str | None = Field(default=None, repr=False, description="bearer token for the gateway")
    webhook_private: bool = Field(
        default=False, description="webhooks to addresses that are not public, and by http to this machine: for tests"
    )
    environment: Literal["development", "test", "production"] = "development"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    witnesses: dict[str, WitnessSetting] = Field(
        default={}, description="JSON: name -> url and key of a witness, asked to sign the checkpoints of every store"
    )
    body_bytes: int = Field(default=1 << 20, ge=1024, le=1 << 30, description="largest request body")
    pool_size: int = Field(default=10, ge=1, le=500, description="connections per store, for reads and for writes each")
    pool_wait_seconds: Seconds = Field(default=5.0, description="how long a request may wait for a connection")
    start_seconds: float = Field(
        default=60.0, ge=0, le=3600, description="how long serve, worker and consume wait for stores when they start"
    )
    ledger: Path | None = Field(
        default=None, description="folder of the ledger of erasures, outside every backup; unset: erasures under home"
    )
    backup_days: int = Field(default=14, ge=0, le=3650, description="how long backups of the stores are kept")
    statement_seconds: Seconds = Field(default=10.0, description="how long one reading statement may run")

    @field_validator("stores", "key_store")
    @classmethod
    def _stores_are_databases(cls, stores: dict[str, str] | None) -> dict[str, str] | None:
        for name, url in (stores or {}).items():
            if not STORE_NAME.fullmatch(name):
                raise ValueError("a store's name is lower-case letters, digits and _, at most 31")
            if not url.startswith(POSTGRES_SCHEMES):
                raise ValueError(f"store {name} needs a URL that begins with postgresql://")
        return stores

    @field_validator("regions")
    @classmethod
    def _regions_are_codes(cls, regions: dict[str, str]) -> dict[str, str]:
        for region, store in regions.items():
            if not REGION.fullmatch(region):
                raise ValueError("a region is an ISO 3166 code such as CN, CN-GD or HK")
            if not STORE_NAME.fullmatch(store):
                raise ValueError(f"region {region} needs the name of a store")
        return regions

    @field_validator("gateway_token")
    @classmethod
    def _token_fits_a_header(cls, token: str | None) -> str | None:
        if token is not None and not re.fullmatch(r"[!-~]+", token):
            raise ValueError("printable ASCII without spaces")
        return token

    @model_validator(mode="after")
    def _stores_and_regions_agree(self) -> Self:
        if self.stores is not None and not self.stores:
            raise ValueError(f"{PREFIX}STORES: at least one store is needed")
        by_store: dict[str, set[str]] = {}
        for region, store in self.regions.items():
            by_store.setdefault(store, set()).add(region[:2])
        if mixed := sorted(store for store, found in by_store.items() if len(found) > 1):
            raise ValueError(f"CDP_REGIONS: store {mixed[0]} would hold data of several jurisdictions")
        for store in sorted(self.stores or {}):
            if store not in by_store:
                raise ValueError(f"CDP_REGIONS: no region is kept in store {store}")
        return self

    @model_validator(mode="after")
    def _kms_has_its_secret(self) -> Self:
        system, parts = self.kms.partition(":")[0], (self.kms_secret or "").split(":")
        if system == "vault" and not self.kms_secret:
            raise ValueError(f"{PREFIX}KMS_SECRET: expected the token of Vault")
        if system == "aws" and not (len(parts) in (2, 3) and all(parts)):
            raise ValueError(f"{PREFIX}KMS_SECRET: expected ACCESS_KEY:SECRET or ACCESS_KEY:SECRET:SESSION")
        return self

    @model_validator(mode="after")
    def _what_is_said_of_stores_is_said_of_ours(self) -> Self:
        for name, said in (("SUITES", self.suites), ("KEY_STORE", self.key_store)):
            if unknown := sorted(said.keys() - set(self.store_names)):
                raise ValueError(f"{PREFIX}{name}: no store is called {unknown[0]}")
        if shared := sorted(self.key_store.items() & (self.stores or {}).items()):
            raise ValueError(f"{PREFIX}KEY_STORE: the keys of store {shared[0][0]} need a database of their own")
        return self

    @model_validator(mode="after")
    def _production_is_explicit(self) -> Self:
        missing = [name for name in ("stores", "token_keys", "gateway_url") if getattr(self, name) is None]
        if self.environment != "production":
            return self
        if missing:
            raise ValueError(f"{PREFIX}{missing[0].upper()}: must be set when CDP_ENVIRONMENT is production")
        if self.gateway_url is not None and not self.gateway_url.startswith("https://"):
            raise ValueError(f"{PREFIX}GATEWAY_URL: must begin with https:// when CDP_ENVIRONMENT is production")
        return self

    @property
    def ledger_folder(self) -> Path:
        """Where erasures are remembered."""
        return self.ledger or self.home / "erasures"

    @property
    def store_names(self) -> tuple[str, ...]:
        """The stores this process serves, in the order in which they are asked."""
        return tuple(self.stores) if self.stores else tuple(dict.fromkeys(self.regions.values()))

    def store_of(self, region: str) -> str:
        """The store that keeps `region` (`CN-GD` falls back to `CN`); REGION_UNKNOWN where none does."""
        store = store_of(region, self.regions)
        if store is None:
            raise RequestInvalid("REGION_UNKNOWN", "no store keeps this region")
        return store

    def jurisdiction_of(self, store: str) -> str:
        """The two-letter jurisdiction whose data `store` keeps; STORE_UNKNOWN for a store without regions."""
        for region, kept_in in self.regions.items():
            if kept_in == store:
                return region[:2]
        raise RequestInvalid("STORE_UNKNOWN", f"no store is called {store}")


def read_settings() -> Settings:
    """The settings of this process; SettingsInvalid with one line per wrong setting, never with its value."""
    try:
        return Settings()
    except ValidationError as wrong:
        raise SettingsInvalid(list(_lines(wrong))) from None
    except SettingsError as wrong:
        name = re.search(r'field "(\w+)"', str(wrong))
        raise SettingsInvalid([f"{PREFIX}{name[1].upper() if name else '*'}: {NOT_JSON}"]) from None


def _lines(wrong: ValidationError) -> Iterable[str]:
    for error in wrong.errors(include_url=False, include_input=False, include_context=False):
        message = NOT_JSON if error["type"] == "dict_type" else error["msg"].removeprefix("Value error, ")
        if error["loc"]:
            message = f"{PREFIX}{str(error['loc'][0]).upper()}: {message}"
        yield message
