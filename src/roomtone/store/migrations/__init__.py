"""Migrations of the tables, run by Alembic."""

HEAD = "0006"
"""The newest revision."""
