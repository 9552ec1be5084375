"""What the operation service reads from its environment."""

from pydantic import Field

from libs.db.engine import DatabaseSettings


class Settings(DatabaseSettings):
    redis_url: str = ""
    lease_seconds: float = Field(default=15.0, gt=0)
    sweep_seconds: float = Field(default=3.0, gt=0)
    max_attempts: int = Field(default=5, ge=1)
    repeat_seconds: float = Field(default=15.0, gt=0)
