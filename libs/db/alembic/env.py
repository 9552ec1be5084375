"""Alembic's environment, the same for every schema; ``libs.db.migrate`` fills in which."""

import re

from alembic import context
from sqlalchemy import create_engine, pool, text

config = context.config
PARTITION = re.compile(r"_p\d+$")
schema = config.attributes["schema"]

# A role named like its schema would find it by default, and Alembic would take its tables for those of another schema.
engine = create_engine(config.attributes["url"], poolclass=pool.NullPool, connect_args={"options": "-c search_path=public"})
with engine.connect() as connection:
    # One migration of a schema at a time, however many replicas start.
    connection.execute(text("SELECT pg_advisory_lock(hashtext(:name))"), {"name": f"migrate {schema}"})
    connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=config.attributes.get("metadata"),
        version_table_schema=schema,
        include_schemas=True,
        include_name=lambda name, kind, _: name == schema if kind == "schema" else not (kind == "table" and PARTITION.search(name or "")),
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
engine.dispose()
