"""Say how a service runs: from variables MEDFLOOR_..., or from a file of the same names, never from a guess.

Secrets come from the environment or from files, not from the command line, where every user of the machine reads them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from medfloor.errors import InputError, UsageError

DEFAULT_DATABASE = "medfloor.db"
"""The SQLite file of a service that was told no store: in the folder where it is started."""

_PREFIX = "MEDFLOOR_"
_Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$", max_length=2048)]


class Settings(BaseModel):
    """Be what an office sets for its service; every setting is the variable MEDFLOOR_<NAME>, and a key of the file.

    >>> Settings(database="office.db").queue
    512
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str = Field(DEFAULT_DATABASE, min_length=1, repr=False)
    """Address of the store; may hold a password, so it is never shown."""
    keys_file: Path | None = None
    """File with the keys of personal data; without it MEDFLOOR_KEYS or MEDFLOOR_KEYS_FILE are asked by the store."""
    language: Literal["zh", "en"] = "zh"
    """Language of problems for those who say no other."""

    https: bool = False
    """People reach the service over TLS (a proxy ends it): cookies become Secure, HSTS is sent."""
    proxy: str = ""
    """Addresses of the TLS proxy, separated by commas; only from these X-Forwarded-For is believed."""
    public_url: _Url | None = None
    """Where people reach the service, such as https://office.example; needed for OIDC."""
    hosts: str = ""
    """Names under which it answers, separated by commas; empty: any."""

    remember_seconds: float = Field(3.0, ge=0, le=30)
    """How long a session that was looked up is believed; what this process revokes ends at once."""

    logins_a_minute: int = Field(10, ge=1, le=1000)
    """From one address; beside it an account is locked after failures."""
    requests_a_second: float = Field(500.0, gt=0, le=100_000)
    """From one session or token."""
    strangers_a_second: float = Field(20.0, gt=0, le=100_000)
    """From one address that shows neither session nor token."""
    body_bytes: int = Field(1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    upload_bytes: int = Field(64 * 1024 * 1024, ge=1024, le=1024 * 1024 * 1024)
    json_depth: int = Field(32, ge=8, le=200)

    queue: int = Field(512, ge=1, le=100_000)
    """Settlements that may wait; more get 503 and Retry-After."""
    batch: int = Field(64, ge=1, le=1000)
    """Settlements of one transaction at most."""
    answer_seconds: float = Field(60.0, gt=0, le=600)
    """How long a settlement waits for its commit before it is told to ask again with the same key."""

    jobs_folder: Path = Path("medfloor-jobs")
    data_folder: Path | None = None
    """Folder of populations and tables that jobs may read; without it only made-up ones."""
    jobs: bool = True
    watch_seconds: float = Field(10.0, ge=0, le=3600)
    """How often households whose claims were settled are screened; 0: never here. It takes `jobs`."""

    oidc_issuer: _Url | None = None
    oidc_client_id: str | None = Field(None, max_length=255)
    oidc_client_secret_file: Path | None = None
    oidc_name: str = Field("OIDC", max_length=64)
    """What the button of the office's log-in is called."""

    @property
    def has_oidc(self) -> bool:
        """Say whether people may come by the office's own log-in."""
        return self.oidc_issuer is not None


def settings_from(environment: Mapping[str, str], file: str | Path | None = None, **given: Any) -> Settings:
    """Read settings: what is given, before variables, before the file (or MEDFLOOR_SETTINGS), before defaults.

    Raises UsageError (`bad_setting`) with the name and never the value, InputError for a file that cannot be read.

    >>> settings_from({"MEDFLOOR_DATABASE": "office.db", "MEDFLOOR_QUEUE": "64"}).queue
    64
    """
    file = file or environment.get(_PREFIX + "SETTINGS") or None
    found: dict[str, Any] = dict(_of_file(Path(file))) if file else {}
    for name in Settings.model_fields:
        text = environment.get(_PREFIX + name.upper())
        if text:
            found[name] = text
    found.update({name: value for name, value in given.items() if value is not None})
    try:
        settings = Settings.model_validate(found)
    except ValidationError as error:
        raise UsageError("bad_setting", _about(error)) from None
    _together(settings)
    return settings


def _of_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            "no_settings_file", f"the settings file cannot be read ({error.strerror}); check MEDFLOOR_SETTINGS"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        # The error of the parser quotes the line, which may hold a secret.
        raise InputError(
            "no_settings_file", "the settings file is not TOML in UTF-8; write lines such as queue = 512"
        ) from None


def _about(error: ValidationError) -> str:
    names = sorted({_PREFIX + str(one["loc"][0]).upper() for one in error.errors() if one["loc"]})
    return f"{', '.join(names)} cannot be meant like this; docs/service.md lists the settings and what they take"


def _together(settings: Settings) -> None:
    """Refuse settings that make no sense together, or that would let every caller say which address is theirs."""
    if "*" in settings.proxy:
        raise UsageError("bad_setting", "MEDFLOOR_PROXY takes addresses of proxies; * would believe everybody")
    if settings.has_oidc and not (settings.oidc_client_id and settings.public_url):
        raise UsageError(
            "bad_setting", "MEDFLOOR_OIDC_ISSUER needs MEDFLOOR_OIDC_CLIENT_ID and MEDFLOOR_PUBLIC_URL beside it"
        )
    if settings.https and settings.public_url and not settings.public_url.startswith("https://"):
        raise UsageError("bad_setting", "MEDFLOOR_HTTPS is on, but MEDFLOOR_PUBLIC_URL does not begin with https://")
