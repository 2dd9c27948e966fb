"""Between rows and records."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sqlalchemy.engine import Row

_T = TypeVar("_T")


def record_of(type_: type[_T], row: Row[Any]) -> _T:
    """Read a row as the record of its table; columns have the names of the fields."""
    return type_(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a row's names


def columns_of(record: Any) -> dict[str, Any]:
    """Write a record as a row; an id the database is to give is left out."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    if values.get("id", "") is None:
        del values["id"]
    return values
