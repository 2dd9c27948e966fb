"""The header fields of one message: whole lines in their order, and an index over them.

A line is ``bytes`` as received (``Name: value``, folds included, without its end), so what is not touched is sent on
byte for byte. Names in calls are case-insensitive, compact forms are the same header.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from roomtone.protocols.sip.errors import Fault, SipBuildError, SipSyntaxError
from roomtone.protocols.sip.grammar import decode, encode, is_token, split_list
from roomtone.protocols.sip.message.names import KEY_OF, SPELLING, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SPACE = b" \t\r\n"
_FOLD = re.compile(rb"[ \t]*\r\n[ \t]+")
# NUL may stand in a quoted string, behind its backslash
_BREAKS = re.compile(rb"[\r\n]|(?<!\\)\x00")


def header_line(name: str, value: str | bytes) -> bytes:
    """Write ``Name: value`` in our spelling. Raises `SipBuildError` for a bad name or a line break in the value."""
    written = SPELLING.get(key_of(name), name)
    if not is_token(written):
        raise SipBuildError("header", f"{name!r} is no header name")
    raw = encode(value) if isinstance(value, str) else value
    if _BREAKS.search(raw):
        raise SipBuildError(written, "holds a line break or NUL")
    return b"%b: %b" % (written.encode(), raw)


def line_value(line: bytes) -> bytes:
    """Value of a line: behind the colon, unfolded, without surrounding white space."""
    value = line[line.index(b":") + 1 :]
    if b"\r" in value:
        value = _FOLD.sub(b" ", value)
    return value.strip(SPACE)


class Headers:
    """Ordered header fields.

    Inputs: lines (`parse_message` checked them; builders made them). Outputs: values by name, lines to send.
    Order: lines stay where they are; `add` puts one at the end, `prepend` at the front.
    Limits: those of `parse_message`.
    """

    __slots__ = ("_keys", "_values", "lines")

    def __init__(
        self, lines: list[bytes], keys: list[str] | None = None, values: dict[str, bytes] | None = None
    ) -> None:
        self.lines = lines
        """Whole lines in order. Read only: change them by the methods."""
        self._keys = keys
        self._values = values  # of the first line of each name, as `line_value` reads it

    @property
    def keys(self) -> list[str]:
        """Key (lower case, long form) of each line, in order. Read only."""
        keys = self._keys
        if keys is None:
            keys = self._keys = [KEY_OF[line[: line.index(b":")]] for line in self.lines]
        return keys

    def _index(self) -> dict[str, bytes]:
        values = self._values
        if values is None:
            # later entries win: walk backwards, so that the first line of a name stays
            pairs = zip(reversed(self.keys), reversed(self.lines), strict=True)
            values = self._values = {key: line_value(line) for key, line in pairs}
        return values

    @property
    def has_repeated(self) -> bool:
        """Whether any name stands on more than one line."""
        values = self._values
        if values is None:
            values = self._index()
        return len(values) != len(self.lines)

    def __contains__(self, name: str) -> bool:
        values = self._values
        if values is None:
            values = self._index()
        return name in values or (name not in SPELLING and key_of(name) in values)

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """Go over (key, value) in order."""
        return iter([(key, line_value(line)) for key, line in zip(self.keys, self.lines, strict=True)])

    def get(self, name: str) -> bytes | None:
        """Value of the first line of this name, unfolded and stripped; None when there is none."""
        values = self._values
        if values is None:
            values = self._index()
        value = values.get(name)
        if value is None and name not in SPELLING:  # no key
            value = values.get(key_of(name))
        return value

    def required(self, key: str) -> str:
        """Value of the first line with this key as text. Raises `SipSyntaxError` when it is missing or empty."""
        values = self._values
        if values is None:
            values = self._index()
        value = values.get(key)
        if not value:
            raise SipSyntaxError(Fault.MISSING_HEADER, 0, "missing or empty", header=SPELLING.get(key, key))
        return value.decode("utf-8", "surrogateescape")

    def text(self, name: str) -> str | None:
        """Value of the first line as text (UTF-8; other bytes as surrogates); None when there is none."""
        value = self.get(name)
        return None if value is None else value.decode("utf-8", "surrogateescape")

    def get_all(self, name: str) -> list[bytes]:
        """Values of all lines of this name, in order; not split at commas."""
        key = key_of(name)
        values = self._index()
        if key not in values:
            return []
        if len(values) == len(self.lines):  # no name comes twice
            return [self.get(key) or b""]
        return [line_value(line) for found, line in zip(self.keys, self.lines, strict=True) if found == key]

    def count(self, name: str) -> int:
        """How many lines have this name."""
        return self.keys.count(key_of(name))

    def items(self, name: str) -> list[str]:
        """Items of a list header (``Via``, ``Route``, ``Allow``...) over all its lines, split at commas, stripped.

        Raises `SipSyntaxError` for an open quote or bracket.
        """
        found: list[str] = []
        for value in self.get_all(name):
            found += split_list(decode(value))
        return found

    def lines_of(self, name: str) -> list[bytes]:
        """Whole lines of this name, to copy into another message."""
        key = key_of(name)
        return [line for found, line in zip(self.keys, self.lines, strict=True) if found == key]

    def add(self, name: str, value: str | bytes) -> None:
        """Put a header at the end. Raises `SipBuildError`."""
        self.add_line(header_line(name, value))

    def add_line(self, line: bytes) -> None:
        """Put a whole line (from another message or `header_line`) at the end."""
        key = KEY_OF[line[: line.index(b":")]]
        keys = self.keys
        if self._values is not None:
            self._values.setdefault(key, line_value(line))
        keys.append(key)
        self.lines.append(line)

    def prepend(self, name: str, value: str | bytes) -> None:
        """Put a header before all others (a Via, a Record-Route). Raises `SipBuildError`."""
        line = header_line(name, value)
        self.keys.insert(0, key_of(name))
        self.lines.insert(0, line)
        self._values = None

    def set(self, name: str, value: str | bytes) -> None:
        """Make this the only header of its name, where the first of them was or at the end. Raises `SipBuildError`."""
        line = header_line(name, value)
        at = self._find(name)
        if at is None:
            self.add_line(line)
            return
        self.lines[at] = line
        self._values = None
        self._drop(key_of(name), keep=at)

    def set_first(self, name: str, value: str | bytes) -> None:
        """Replace the first line of this name and leave the others; at the end when there is none."""
        at = self._find(name)
        if at is None:
            self.add(name, value)
        else:
            self.lines[at] = header_line(name, value)
            self._values = None

    def replace_first(self, key: str, line: bytes) -> None:
        """Put a whole line in the place of the first one of its key, which is there."""
        self.lines[self.keys.index(key)] = line
        if self._values is not None:
            self._values[key] = line_value(line)

    def remove(self, name: str) -> bool:
        """Take all headers of this name out; whether there were any."""
        key = key_of(name)
        if key not in self._index():
            return False
        self._drop(key, keep=-1)
        return True

    def set_items(self, name: str, items: Iterable[str]) -> None:
        """Make these the items of a list header, one line each, where its first line was. Raises `SipBuildError`."""
        key = key_of(name)
        new = [header_line(name, item) for item in items]
        found = self._find(name)
        at = len(self.lines) if found is None else found
        self._drop(key, keep=-1)
        self.lines[at:at] = new
        self.keys[at:at] = [key] * len(new)
        self._values = None

    def _find(self, name: str) -> int | None:
        key = key_of(name)
        return self.keys.index(key) if key in self._index() else None

    def _drop(self, key: str, keep: int) -> None:
        keys = self.keys
        stay = [at for at, found in enumerate(keys) if found != key or at == keep]
        if len(stay) != len(keys):
            self.lines[:] = [self.lines[at] for at in stay]
            keys[:] = [keys[at] for at in stay]
            self._values = None

    def copy(self) -> Headers:
        """Return headers of their own with the same lines."""
        return Headers(self.lines.copy(), None if self._keys is None else self._keys.copy())
