"""The first lines of a process."""

import os
import subprocess
import sys
from pathlib import Path

_PROCESS = """
import tempfile
from libs.rpc.process import configured, run
from libs.rpc.settings import MeshSettings

async def main() -> None:
    print(tempfile.gettempdir())

run("test", configured(MeshSettings), main())
"""


def test_temporary_files_lie_where_the_settings_say(tmp_path: Path) -> None:
    """A directory that cannot be used at the first use is not replaced by another one."""
    away = tmp_path / "away"
    environment = {**os.environ, "TMPDIR": str(away), "MESH_KEY_FILE": "none"}
    done = subprocess.run([sys.executable, "-c", _PROCESS], env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"{away}\n"
