"""Brings schemas up to date: ``python -m libs.db.migrate auth collection operation``, a step of its own."""

import argparse
import importlib.util
import os
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData


def configuration(service: str, url: str, metadata: MetaData | None = None) -> Config:
    """Return Alembic's configuration for one service's schema, whose history is ``services/<service>/migrations``."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "alembic"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(_history(service)).replace("%", "%%"))
    config.attributes.update(schema=service, url=url, metadata=metadata)
    return config


def _history(service: str) -> Path:
    spec = importlib.util.find_spec(f"services.{service}")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"migrate: no service {service}")
    return Path(next(iter(spec.submodule_search_locations))) / "migrations"


def upgrade(service: str, url: str) -> None:
    """Apply every migration of ``service`` that the database does not have yet."""
    command.upgrade(configuration(service, url), "head")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("services", nargs="+")
    for service in parser.parse_args().services:
        # Each schema may have a role of its own: AUTH_DATABASE_URL and so on win over DATABASE_URL.
        upgrade(service, os.environ.get(f"{service.upper()}_DATABASE_URL") or os.environ["DATABASE_URL"])


if __name__ == "__main__":
    main()
