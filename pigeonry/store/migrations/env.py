"""Runs migrations on the connection that `pigeonry.store.migrate` hands over."""

from __future__ import annotations

from alembic import context

from pigeonry.store.models import Base


def run() -> None:
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
