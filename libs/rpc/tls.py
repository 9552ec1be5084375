"""TLS between services: the certificate a process shows, and the authority it trusts."""

from dataclasses import dataclass

import grpc

from libs.rpc.settings import MeshSettings


@dataclass(frozen=True)
class Tls:
    """PEM files of a process. With an authority (``ca``) both ends show certificates: mutual TLS."""

    certificate: bytes
    key: bytes
    ca: bytes | None

    @classmethod
    def of(cls, settings: MeshSettings) -> "Tls | None":
        """Read the files that the settings name; None where they name no certificate."""
        if settings.tls_cert_file is None or settings.tls_key_file is None:
            return None
        ca = settings.tls_ca_file.read_bytes() if settings.tls_ca_file else None
        return cls(settings.tls_cert_file.read_bytes(), settings.tls_key_file.read_bytes(), ca)

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return credentials of a server that refuses clients without a certificate of the authority, if there is one."""
        return grpc.ssl_server_credentials([(self.key, self.certificate)], self.ca, require_client_auth=self.ca is not None)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Return credentials of a client that trusts the authority, or the system's authorities where there is none."""
        return grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)
