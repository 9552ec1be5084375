"""The finished graphs on disk: ``<MODEL_DIR>/.graphs/<digest>/<precision>.onnx``, each beside the digest of its own bytes."""

import hashlib
import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

from services.embedding.models import ModelDamagedError, ModelFiles

log = logging.getLogger(__name__)
_BUILD_SECONDS = 900


def graph(model_dir: Path, files: ModelFiles, precision: str, *, padded: bool) -> Path:
    """Return a model's graph, built where it is not yet (this blocks); raises ModelDamagedError."""
    directory = model_dir / ".graphs" / files.digest
    name = precision.lower() + ("-padded" if padded else "")
    found, manifest = directory / f"{name}.onnx", directory / f"{name}.json"
    if not manifest.exists():
        directory.mkdir(parents=True, exist_ok=True)
        _build(files, precision, found, manifest, padded=padded)
    expected = json.loads(manifest.read_text())["sha256"]
    if not found.exists() or _sha256(found) != expected:
        raise ModelDamagedError(f"{files.id}: {found.name} is truncated or altered; delete {directory} to build it anew")
    return found


def _build(files: ModelFiles, precision: str, out: Path, manifest: Path, *, padded: bool) -> None:
    """Build in a process of its own: what building needs never burdens serving."""
    log.info("building the %s graph of %s", precision, files.id)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        made = Path(scratch) / out.name
        command = [sys.executable, "-P", "-m", "services.embedding.graph", "--id", files.id, "--directory", str(files.directory)]
        command += ["--precision", precision, "--out", str(made), *(["--padded"] if padded else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_BUILD_SECONDS)  # noqa: S603 - our own module
        if done.returncode:
            raise ModelDamagedError(f"{files.id}: its graph cannot be built: {' '.join(done.stderr.strip().splitlines()[-1:])}")
        digest = Path(scratch) / manifest.name
        digest.write_text(json.dumps({"sha256": _sha256(made)}))
        # Two processes may build at once: each writes equal bytes, and the manifest comes last.
        made.rename(out)
        digest.rename(manifest)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
