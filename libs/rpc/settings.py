"""What every process of the mesh reads from its environment."""

from enum import StrEnum
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class Environment(StrEnum):
    LOCAL = "local"
    PRODUCTION = "production"


class MeshSettings(BaseSettings):
    """Settings common to all services; a service's own class adds to them."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    environment: Environment = Environment.PRODUCTION
    listen_address: str = "127.0.0.1:0"
    metrics_address: str = ""
    log_format: str = "json"
    log_level: str = "INFO"
    mesh_key_file: Path
    auth_address: str = ""
    collection_address: str = ""
    operation_address: str = ""
    embedding_address: str = ""
    search_address: str = ""
    otel_exporter_otlp_endpoint: str = ""
    use_uvloop: bool = True
    drain_seconds: float = 20.0
