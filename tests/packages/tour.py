"""README's tour as named steps, each of which is checked, with the installed command against a mesh that runs from the wheels."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.packages.distributions import ROOT
from tests.packages.environment import Environment

USER, PASSWORD = "ada", "correct horse battery staple"
COLLECTION = "papers"
QUERY = "what happens to the work when a worker dies?"
_MODEL = "all-minilm-l6-v2"
_PYTHON_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


class Tour:
    """The steps of one person at one mesh, in their order."""

    def __init__(self, environment: Environment, address: str, papers: Path) -> None:
        self.environment = environment
        self.address = address
        self.papers = papers
        self.environment.set(SEMANTIK_ADDRESS=address)
        self._http = httpx.Client(base_url=f"http://{address}", timeout=60)
        self._collection_id = self._operation_id = ""

    def register(self) -> None:
        said = self._command("register", USER, "--email", "ada@example.org", typed=PASSWORD)
        assert f"Welcome, {USER}" in said, said

    def index(self) -> None:
        said = self._command("index", self.papers, "--collection", COLLECTION)
        assert "succeeded" in said, said

    def search(self) -> None:
        [answer] = self._json("search", QUERY, "-c", COLLECTION, "-n", "1")
        assert len(answer["hits"]) == 1, answer

    def index_again(self) -> None:
        said = self._command("index", self.papers, "--collection", COLLECTION)
        assert re.search(r"\b0 tokens\b|nothing to do|unchanged", said), said

    def search_as_a_person_sees_it(self) -> None:
        said = self._command("search", QUERY, "-c", COLLECTION, "-n", "1")
        assert said.startswith("1. "), said

    def documents(self) -> None:
        [listed] = self._json("documents", "list", "-c", COLLECTION)
        assert len(listed) == len(list(self.papers.iterdir())), listed

    def operations(self) -> None:
        [listed] = self._json("operations", "list")
        self._operation_id = listed[0]["id"]

    def status(self) -> None:
        [shown] = self._json("status")
        assert all(process["state"] == "ready" for process in shown["processes"]), shown

    def logs(self) -> None:
        assert self._command("logs", "worker") != ""

    def curl_login(self) -> None:
        answer = self._http.post("/v1/auth:login", json={"username": USER, "password": PASSWORD}).json()
        self._http.headers["authorization"] = f"Bearer {answer['tokens']['accessToken']}"

    def curl_collections(self) -> None:
        [found] = self._http.get("/v1/collections").json()["collections"]
        assert (found["name"], found["state"]) == (COLLECTION, "STATE_READY"), found
        self._collection_id = found["id"]

    def curl_search(self) -> None:
        answer = self._http.post("/v1/search", json={"collectionIds": [self._collection_id], "query": QUERY, "limit": 1}).json()
        assert len(answer["hits"]) == 1, answer

    def curl_watch(self) -> None:
        answer = self._http.get(f"/v1/operations/{self._operation_id}:watch")
        events = [json.loads(line.removeprefix("data:")) for line in answer.text.splitlines() if line.startswith("data:")]
        assert events[-1]["operation"]["state"] == "STATE_SUCCEEDED", answer.text

    def curl_error(self) -> None:
        answer = self._http.post("/v1/search", json={"collectionIds": ["x"], "query": QUERY}).json()
        assert (answer["code"], answer["details"][0]["reason"]) == (3, "INVALID_REQUEST"), answer

    def buf_curl(self) -> None:
        body = json.dumps({"collection_ids": [self._collection_id], "query": "fence", "limit": 1})
        options = ["--http2-prior-knowledge", "--protocol", "grpc", "--schema", "proto", "-d", body]
        header = ["-H", f"authorization: {self._http.headers['authorization']}"]
        url = f"http://{self.address}/semantik.search.v1.SearchService/Search"
        command: list[str | Path] = [Path(sys.executable).parent / "buf", "curl", *options, *header, url]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert len(json.loads(ran.stdout)["hits"]) == 1, ran.stdout

    def readme_in_python(self) -> None:
        """Every program of README, with this password and address, and with OpenAI's client beside ours."""
        self.environment.install("openai")
        programs = _PYTHON_BLOCK.findall((ROOT / "README.md").read_text())
        assert programs
        for program in programs:
            filled = program.replace('"..."', repr(PASSWORD)).replace("127.0.0.1:8080", self.address)
            ran = self.environment.run("-I", "-c", filled)
            assert (ran.returncode, ran.stdout != "") == (0, True), (program, ran.stdout, ran.stderr)

    def models(self) -> None:
        [listed] = self._json("models", "list")
        assert [model["id"] for model in listed["models"]] == [_MODEL], listed

    def whoami(self) -> None:
        assert USER in self._command("whoami")

    def _command(self, *arguments: str | Path, typed: str | None = None) -> str:
        ran = self.environment.run(*arguments, name="semantik", typed=typed)
        assert ran.returncode == 0, f"semantik {arguments[0]} ended with {ran.returncode}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def _json(self, *arguments: str) -> list[Any]:
        return [json.loads(line) for line in self._command(*arguments, "--json").splitlines()]


FIRST: tuple[Callable[[Tour], None], ...] = (Tour.register, Tour.index, Tour.search)
"""The way to the first hit."""

FURTHER: tuple[Callable[[Tour], None], ...] = (
    Tour.index_again,
    Tour.search_as_a_person_sees_it,
    Tour.documents,
    Tour.operations,
    Tour.status,
    Tour.logs,
    Tour.models,
    Tour.whoami,
    Tour.curl_login,
    Tour.curl_collections,
    Tour.curl_search,
    Tour.curl_watch,
    Tour.curl_error,
    Tour.buf_curl,
    Tour.readme_in_python,
)
