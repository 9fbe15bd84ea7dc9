"""Which key management system holds the root keys, by the settings."""

from cdp.aws_kms import AwsKeys, Credentials
from cdp.remote_kms import RemoteKms
from cdp.settings import Settings
from cdp.vault_kms import VaultTransit
from privacy.kms import InsecureFileKms, Kms


def root_kms(settings: Settings) -> Kms:
    """The system of `CDP_KMS`, which is not asked yet; raises KmsRefused for keys in files in production."""
    system, _, where = settings.kms.partition(":")
    place, _, name = where.rpartition("/") if system == "vault" else where.partition("/")
    if system == "vault":
        return RemoteKms(VaultTransit(place, name, settings.kms_secret or ""))
    if system == "aws":
        return RemoteKms(AwsKeys(place, name, Credentials(*(settings.kms_secret or "").split(":"))))
    return InsecureFileKms(settings.home / (where or "kms"), settings.environment)
