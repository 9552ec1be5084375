"""semantik models export: converts a model of another architecture to ONNX for the embedding service."""

import json
import shutil
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from semantik.command.context import JsonOption, err, escape, out, print_json

_RESULT = ("model.onnx", "tokenizer.json", "config.json")
# What sentence-transformers says of a model beside its weights.
_ALONG = ("1_Pooling/config.json", "sentence_bert_config.json", "config_sentence_transformers.json", "modules.json")
# Fetches one commit, of the weights only what is read.
_FETCH = """
import sys, huggingface_hub
info = huggingface_hub.model_info(sys.argv[1], revision=sys.argv[2])
weights = "*.safetensors" if any(file.rfilename.endswith(".safetensors") for file in info.siblings) else "*.bin"
print(huggingface_hub.snapshot_download(info.id, revision=info.sha, allow_patterns=["*.json", "*.txt", "*.model", weights],
                                        ignore_patterns=["onnx/*", "openvino/*", "original/*"]))
"""
# What some architectures call the length of a vector and the number of places for tokens.
_NAMES = {"hidden_size": ("dim", "d_model", "n_embd"), "max_position_embeddings": ("n_positions", "max_seq_len")}
_MISSING = (
    "optimum-cli is not installed: install it in an environment of its own, because it needs torch (`python3 -m venv ~/.venv-export && "
    "~/.venv-export/bin/pip install 'optimum-onnx[onnxruntime]==0.1.0'`), and pass its path: --optimum-cli ~/.venv-export/bin/optimum-cli"
)


def export(
    model: Annotated[str, typer.Argument(help="A model's directory, or its repository on the Hugging Face hub.")],
    directory: Annotated[Path, typer.Argument(help="The directory to create; its name becomes the model's id.", resolve_path=True)],
    optimum: Annotated[str, typer.Option("--optimum-cli", envvar="SEMANTIK_OPTIMUM_CLI", help="The path of optimum-cli.")] = "optimum-cli",
    revision: Annotated[str, typer.Option(help="A commit, tag or branch of the repository.")] = "main",
    as_json: JsonOption = False,
) -> None:
    """Export a model as ONNX, for architectures that are not built in.

    BERT, RoBERTa and XLM-RoBERTa in safetensors, and repositories with a model.onnx, need no export: download them.
    """
    import tempfile

    from rich.filesize import decimal

    program = shutil.which(Path(optimum).expanduser())
    if program is None:
        _end(_MISSING)
    if directory.exists():
        _end(f"{directory} already exists")
    source = Path(model) if Path(model).is_dir() else _fetched(Path(program), model, revision)
    if not (source / "config.json").is_file():
        _end(f"{model} is not a model: it has no config.json")
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".export-") as scratch:
        result = Path(scratch) / directory.name
        command = [program, "export", "onnx", "--model", str(source), "--task", _task(source), "--library", "transformers", str(result)]
        _checked(command, f"{model} cannot be exported")
        missing = [name for name in _RESULT if not (result / name).is_file()]
        if missing:
            _end(f"{model} cannot be used here: the export has no {', '.join(missing)}")
        _complete(result / "config.json")
        for name in _ALONG:
            if (source / name).is_file():
                (result / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(source / name, result / name)
        result.rename(directory)
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    if as_json:
        print_json({"directory": str(directory), "sizeBytes": str(size)})
    else:
        out.print(f"Exported {escape(model)} to {escape(str(directory))} ({decimal(size)}).")
        err.print(f"Put it below the embedding service's MODEL_DIR to use it as the model [bold]{escape(directory.name)}[/].")


def _task(source: Path) -> str:
    """Return what to export: a cross-encoder keeps the head that scores."""
    architectures = json.loads((source / "config.json").read_text()).get("architectures") or [""]
    return "text-classification" if str(architectures[0]).endswith("ForSequenceClassification") else "feature-extraction"


def _complete(file: Path) -> None:
    config = json.loads(file.read_text())
    for name, others in _NAMES.items():
        value = next((config[other] for other in others if other in config), None)
        if name not in config and value is not None:
            config[name] = value
    file.write_text(json.dumps(config, indent=2) + "\n")


def _fetched(program: Path, repository: str, revision: str) -> Path:
    """Return a directory with the files of a repository, downloaded by the library that exports."""
    err.print(f"Downloading {escape(repository)} from the Hugging Face hub.")
    python = program.resolve().with_name("python")
    printed = _checked([str(python), "-c", _FETCH, repository, revision], f"{repository} is not a directory and cannot be downloaded")
    return Path(printed.splitlines()[-1])


def _checked(command: list[str], otherwise: str) -> str:
    import subprocess

    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the program was named by the user
    if done.returncode:
        _end(f"{otherwise}: {' '.join(done.stderr.strip().splitlines()[-1:])}")
    return done.stdout


def _end(message: str) -> NoReturn:
    err.print(f"[red]error:[/] {escape(message)}")
    raise typer.Exit(1)
