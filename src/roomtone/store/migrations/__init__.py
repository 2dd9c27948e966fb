"""Migrations of the tables, run by Alembic."""

HEAD = "0003"
"""The newest revision."""
