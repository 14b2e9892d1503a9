"""The only part that knows SQLAlchemy: models, sessions, migrations, one query module a noun."""
