"""What the operation service reads from its environment."""

from typing import Self

from pydantic import Field, model_validator

from libs.db.engine import DatabaseSettings


class Settings(DatabaseSettings):
    lease_seconds: float = Field(default=15.0, gt=0)
    """How long a lease lasts after it was written."""
    renew_seconds: float = Field(default=5.0, gt=0)
    """How often a lease is written."""
    sweep_seconds: float = Field(default=3.0, gt=0)
    slot_check_seconds: float = Field(default=1.0, gt=0)
    short_slot_seconds: float = Field(default=2.0, ge=0)
    """After which short work gives up its short slot to another user's."""
    long_slot_seconds: float = Field(default=60.0, ge=0)
    """After which one of a user's several long slots is given up to a user who has none."""
    max_attempts: int = Field(default=5, ge=1)
    max_settles: int = Field(default=5, ge=1)
    repeat_seconds: float = Field(default=15.0, gt=0)
    """After which a watched state is sent again."""

    @property
    def guaranteed_seconds(self) -> float:
        """How long a lease lasts after any report, written or not; workers count on it."""
        return self.lease_seconds - self.renew_seconds

    @model_validator(mode="after")
    def _leases_are_renewed_in_time(self) -> Self:
        if self.guaranteed_seconds <= 0:
            raise ValueError("RENEW_SECONDS must be less than LEASE_SECONDS")
        return self
