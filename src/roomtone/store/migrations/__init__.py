"""Migrations of the tables, run by Alembic."""

HEAD = "0009"
"""The newest revision."""
