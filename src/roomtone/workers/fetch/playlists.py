"""Playlists on their way to a demuxer, which does not see where they came from."""

from __future__ import annotations

import re
from urllib.parse import urljoin

MAX_PLAYLIST = 4 << 20
"""Bytes of a playlist."""
_SAMPLES = "METHOD=SAMPLE-AES"
"""Samples that are encrypted each for itself; no demuxer here has keys for them."""
_URI = re.compile(r'(?<=[:,])URI="([^"]*)"')


def made_ready(text: bytes, base: str) -> bytes:
    """Give a playlist with all its addresses whole, as they are at ``base``, where it was found after all redirects.

    Raise ``ValueError`` where nobody here could play what it lists.
    """
    lines = text.decode("utf-8", "replace").splitlines()
    if any(line.startswith("#EXT-X-") and _SAMPLES in line for line in lines):
        message = "the stream is encrypted by SAMPLE-AES, which is not fetched; by AES-128 it is"
        raise ValueError(message)
    return "".join(f"{_whole(line.strip(), base)}\n" for line in lines).encode()


def _whole(line: str, base: str) -> str:
    if line.startswith("#EXT"):
        return _URI.sub(lambda found: f'URI="{urljoin(base, found[1])}"', line)
    return line if not line or line.startswith("#") else urljoin(base, line)


class Text:
    """A body that was read whole."""

    def __init__(self, text: bytes) -> None:
        self._left = text

    def read(self, size: int) -> bytes:
        """Give what comes next; nothing at the end."""
        given, self._left = self._left[:size], self._left[size:]
        return given

    def close(self) -> None:
        """There is nothing to let go of."""
