"""Migrations of the tables, run by Alembic."""

HEAD = "0005"
"""The newest revision."""
