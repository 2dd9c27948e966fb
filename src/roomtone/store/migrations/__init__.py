"""Migrations of the tables, run by Alembic."""

HEAD = "0007"
"""The newest revision."""
