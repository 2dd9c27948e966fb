"""Migrations of the tables, run by Alembic."""

HEAD = "0008"
"""The newest revision."""
