"""The proof that a command runs as the account that owns the mesh of this machine."""

import os
from pathlib import Path

from deploy.local import state
from deploy.local.home import home_of


def capability(address: str) -> str:
    """Return the capability of the mesh whose gateway answers at ``address`` (host:port), empty for any other mesh.

    It leaves this process only towards a mesh that runs now from a data directory of this account: ``SEMANTIK_DATA_DIR``, or
    the user's own.
    """
    named = os.environ.get("SEMANTIK_DATA_DIR")
    home = home_of(Path(named) if named else None)
    try:
        known = state.read(home)
        is_running = (pid := state.holder(home)) is not None and known.get("pid") == pid
        if not is_running or str(known.get("gateway", "")).removeprefix("http://") != address:
            return ""
        return (home.keys / "operator").read_text()
    except OSError:
        return ""
