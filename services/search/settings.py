"""What the search service reads from its environment."""

from pydantic import Field, SecretStr

from libs.rpc.settings import MeshSettings


class Settings(MeshSettings):
    qdrant_url: str
    qdrant_api_key: SecretStr = SecretStr("")
    qdrant_timeout_seconds: int = Field(default=20, ge=1)
    authorization_cache_seconds: float = Field(default=5.0, ge=0)
