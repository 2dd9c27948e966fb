"""Migrations of the tables, run by Alembic."""

HEAD = "0002"
"""The newest revision."""
