"""Migrations of the tables, run by Alembic."""

HEAD = "0001"
"""The newest revision."""
