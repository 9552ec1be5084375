"""What the auth service reads from its environment."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from libs.db.engine import DatabaseSettings
from libs.rpc.settings import Environment
from services.auth.rate_limits.limits import Limits
from services.auth.tables import Role


class Settings(DatabaseSettings):
    signing_key_dir: Path
    redis_url: str = ""
    registration_open: bool = True
    # How many registrations of a network wait for nothing, within 15 minutes.
    registrations_per_network: int = Field(default=100, ge=1)
    default_role: Role = Role.POWER_USER
    access_token_lifetime_seconds: int = Field(default=900, ge=2, le=86400)
    refresh_token_lifetime_seconds: int = Field(default=30 * 86400, ge=3600)
    refresh_grace_seconds: float = Field(default=10.0, ge=0)

    # Calls within a minute: sign-ins, registrations and refreshes of an address; calls that change something, of a user and of an address.
    rate_limit_sign_in_by_address: int = Field(default=1200, ge=1)
    rate_limit_write_by_user: int = Field(default=60_000, ge=1)
    rate_limit_write_by_address: int = Field(default=120_000, ge=1)

    @property
    def rate_limits(self) -> Limits:
        return Limits(self.rate_limit_sign_in_by_address, self.rate_limit_write_by_user, self.rate_limit_write_by_address)

    @model_validator(mode="after")
    def _default_role_is_not_admin(self) -> Self:
        if self.default_role is Role.ADMIN:
            raise ValueError("DEFAULT_ROLE must not be ADMIN")
        return self

    @property
    def may_generate_keys(self) -> bool:
        return self.environment is Environment.LOCAL
