"""Another account of the same computer reaches nothing of the mesh but its ports."""

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

import psutil
import pytest

from deploy.local.supervisor import Mesh

ATTEMPTS = """
import os, socket, sys

reached = []
for path in sys.argv[1:]:
    try:
        if stat_is_socket(path):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(path)
        elif os.path.isdir(path):
            os.listdir(path)
        else:
            open(path, "rb").read(1)
        reached.append(path)
    except (PermissionError, FileNotFoundError, NotADirectoryError):
        pass
print("\\n".join(reached))
""".replace("stat_is_socket(path)", "path.endswith(('.sock', '.s.PGSQL.5432'))")


def _processes(mesh: Mesh) -> list[psutil.Process]:
    own = [psutil.Process(child.pid) for child in mesh.children if child.pid]
    return [each for process in own for each in (process, *process.children(recursive=True))]


def _places(mesh: Mesh) -> list[Path]:
    home = mesh.home
    return [home.path, home.keys, home.logs, home.objects, home.vectors, home.run, home.temporary, home.postgres]


@pytest.mark.abuse(40)
def test_what_the_mesh_keeps_is_its_owners(mesh: Mesh) -> None:
    """Directories are closed to the group and to others; keys, configurations and sockets too, in case one is not."""
    for place in _places(mesh):
        assert stat.S_IMODE(place.stat().st_mode) & 0o077 == 0, place
    sensitive = [path for path in mesh.home.keys.rglob("*") if path.is_file()]
    sensitive += [mesh.home.run / "redis.conf", mesh.home.run / "redis.sock"]
    assert len(sensitive) > 5
    for path in sensitive:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.abuse(40)
def test_nothing_listens_beyond_the_machine(mesh: Mesh) -> None:
    """Each port of each process is on loopback."""
    listening = {
        (process.name(), connection.laddr.ip)
        for process in _processes(mesh)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert len(listening) > 2
    assert {address for _, address in listening} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


# An interpreter that every account may run, which the project's own need not be.
PYTHON = shutil.which("python3", path="/usr/bin:/bin:/usr/local/bin")


@pytest.mark.abuse(40)
@pytest.mark.skipif(os.geteuid() != 0 or PYTHON is None, reason="only root can try it as another account")
def test_another_account_opens_nothing(mesh: Mesh) -> None:
    """Neither files nor sockets, nor what the system tells of a process."""
    nobody = pwd.getpwnam("nobody")
    assert PYTHON is not None
    own = [path for place in _places(mesh) for path in (place, *place.glob("*"), *place.glob("*/*"))]
    foreign = [process.pid for process in _processes(mesh) if process.uids().real != nobody.pw_uid]
    own += [Path(f"/proc/{pid}/{name}") for pid in foreign for name in ("environ", "mem", "fd", "cwd/keys", "root/etc")]
    # A path whose name says nothing of a secret, so that the attempt is seen to work where it may.
    targets = [str(path) for path in own] + ["/etc/passwd"]
    result = subprocess.run(
        [PYTHON, "-I", "-c", ATTEMPTS, *targets],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        timeout=60,
    )
    assert result.stdout.split() == ["/etc/passwd"]
