"""Migrations of the tables, run by Alembic."""

HEAD = "0004"
"""The newest revision."""
