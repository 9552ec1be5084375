"""``make fuzz``: schemathesis through the gateway of a mesh of its own, as a signed-in user; ends with one JSON line.

A case is a request to an operation with the method that the document describes. Watches, which have no end, are left out, and so are
downloads of models, which would leave the machine.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from deploy.local.supervisor import Mesh, Options, running
from gateway.openapi.document import PATH

_ROOT = Path(__file__).resolve().parents[2]
_PASSWORD = "what a fuzzer would not guess"
_LEFT_OUT = r":watch$|models:download$"
_CHECKS = "not_a_server_error,status_code_conformance"
_SERVER_ERRORS = 500


@dataclass
class Findings:
    """What was seen of all cases."""

    cases: int = 0
    server_errors: list[dict[str, Any]] = field(default_factory=list)
    undocumented: list[dict[str, Any]] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def add(self, record: Path, document: Any) -> None:
        """Count the cases of one round."""
        for line in record.read_text().splitlines():
            case = json.loads(line)
            if case["method"] != case["described"]:
                continue
            self.cases += 1
            self.statuses[case["status"]] += 1
            described = document["paths"][case["path"]][case["method"].lower()]["responses"]
            if case["status"] >= _SERVER_ERRORS:
                self.server_errors.append(case)
            if str(case["status"]) not in described:
                self.undocumented.append(case)

    def line(self) -> str:
        """Return the result."""
        counts = {"cases": self.cases, "server_errors": len(self.server_errors), "undocumented": len(self.undocumented)}
        return json.dumps({"name": "fuzz", **counts})


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="the number of cases to reach")
    parser.add_argument("--examples", type=int, default=20, help="the number of random examples of an operation in each round")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    findings, document = Findings(), json.loads(PATH.read_text())
    with tempfile.TemporaryDirectory(prefix="semantik-fuzz-") as scratch:
        directory = Path(scratch)
        documents = directory / "documents"
        documents.mkdir()
        (documents / "tide.txt").write_text("The tide follows the moon.\n")
        async with running(Options(data_dir=directory / "data", allowed_roots=(documents,))) as mesh:
            await mesh.start()
            await mesh.wait_ready()
            seed, tokens = options.seed, dict[str, str]()
            while findings.cases < options.cases:
                record = directory / f"round-{seed}.jsonl"
                tokens = await _tokens(mesh, tokens)  # an access token lasts for a round, not for all
                await _round(mesh, tokens["accessToken"], record, seed, options.examples)
                before = findings.cases
                findings.add(record, document)
                seed += 1
                sys.stderr.write(f"{findings.line()} {dict(sorted(findings.statuses.items()))}\n")
                if findings.cases == before:
                    sys.exit("fuzz: a round had no case")
    for case in [*findings.server_errors, *findings.undocumented][:50]:
        sys.stderr.write(json.dumps(case) + "\n")
    sys.stdout.write(findings.line() + "\n")
    return 1 if findings.server_errors or findings.undocumented else 0


async def _round(mesh: Mesh, token: str, record: Path, seed: int, examples: int) -> None:
    """Run schemathesis once."""
    record.touch()
    command = [str(Path(sys.executable).parent / "st"), "run", str(PATH), "--url", mesh.gateway]
    command += ["--checks", _CHECKS, "--max-examples", str(examples), "--seed", str(seed), "--exclude-path-regex", _LEFT_OUT]
    command += ["--header", f"authorization: Bearer {token}", "--continue-on-failure", "--request-timeout", "70", "--no-shrink"]
    command += ["--phases", "examples,coverage,fuzzing", "--generation-database", "none", "--no-color", "--warnings", "off"]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.fuzz.recording", "FUZZ_RECORD": str(record), "PYTHONPATH": str(_ROOT)}
    with (record.with_suffix(".log")).open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=record.parent, stdout=log, stderr=log)
        await process.wait()
    if not record.stat().st_size:
        sys.stderr.write(record.with_suffix(".log").read_text()[-4000:])


async def _tokens(mesh: Mesh, tokens: dict[str, str]) -> dict[str, str]:
    """Return fresh tokens, at first those of the first user, who is ADMIN, so that nothing is out of reach."""
    async with httpx.AsyncClient(base_url=mesh.gateway, timeout=60) as client:
        if tokens:
            answer = await client.post("/v1/auth:refresh", json={"refreshToken": tokens["refreshToken"]})
        else:
            user = {"username": "fuzz", "email": "fuzz@example.org", "password": _PASSWORD}
            answer = await client.post("/v1/auth:register", json=user)
    found: dict[str, str] = answer.raise_for_status().json()["tokens"]
    return found


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
