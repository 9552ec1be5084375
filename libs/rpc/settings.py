"""What every process of the mesh reads from its environment."""

from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Environment(StrEnum):
    LOCAL = "local"
    PRODUCTION = "production"


class MeshSettings(BaseSettings):
    """Settings common to all services; a service's own class adds to them."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    environment: Environment = Environment.PRODUCTION
    # Where temporary files lie; the system's directory by default.
    tmpdir: Path | None = None
    listen_address: str = "127.0.0.1:0"
    metrics_address: str = ""
    log_format: str = "json"
    log_level: str = "INFO"
    mesh_key_file: Path
    # Where the services of one computer see whether several users are about.
    presence_file: Path | None = None
    auth_address: str = ""
    collection_address: str = ""
    operation_address: str = ""
    embedding_address: str = ""
    search_address: str = ""
    otel_exporter_otlp_endpoint: str = ""
    use_uvloop: bool = True
    drain_seconds: float = 20.0
    # With a certificate and its key the process speaks TLS; with an authority, peers must show a certificate of it too.
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_ca_file: Path | None = None
    # A connection older than this (give or take a tenth) takes no new calls, so that clients ask DNS again and find new
    # replicas. Calls under way go on; those that outlast the grace end UNAVAILABLE, and watches are opened again.
    max_connection_age_seconds: float = Field(default=300.0, gt=0)
    max_connection_age_grace_seconds: float = Field(default=3600.0, gt=0)

    @model_validator(mode="after")
    def _tls_is_complete(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("TLS_CERT_FILE and TLS_KEY_FILE go together")
        if self.tls_ca_file is not None and self.tls_cert_file is None:
            raise ValueError("TLS_CA_FILE needs TLS_CERT_FILE and TLS_KEY_FILE")
        return self
