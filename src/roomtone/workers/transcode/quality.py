"""How near what is made is to its source: PSNR and SSIM of the luma of a sample of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from roomtone.workers.transcode.messages import Unit

EVERY = 25
"""One of so many pictures is compared; all are decoded."""
_PEAK = 255.0
_C1, _C2 = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2
_BLOCK = 8
_BEST_DB = 100.0

Luma = np.ndarray[Any, np.dtype[np.float64]]


def psnr(one: Luma, other: Luma) -> float:
    """Peak signal to noise ratio in dB; of equals 100."""
    error = float(np.mean((one - other) ** 2))
    return _BEST_DB if error == 0 else min(_BEST_DB, 10 * float(np.log10(_PEAK**2 / error)))


def ssim(one: Luma, other: Luma) -> float:
    """Structural similarity (Wang et al. 2004) over blocks of eight by eight beside each other; of equals 1."""
    a, b = _blocks(one), _blocks(other)
    mean_a, mean_b = a.mean(axis=1), b.mean(axis=1)
    variance_a, variance_b = a.var(axis=1), b.var(axis=1)
    covariance = (a * b).mean(axis=1) - mean_a * mean_b
    alike = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    all_ = (mean_a**2 + mean_b**2 + _C1) * (variance_a + variance_b + _C2)
    return float(np.mean(alike / all_))


def _blocks(luma: Luma) -> Luma:
    rows, columns = luma.shape[0] // _BLOCK, luma.shape[1] // _BLOCK
    cut = luma[: rows * _BLOCK, : columns * _BLOCK]
    return cut.reshape(rows, _BLOCK, columns, _BLOCK).swapaxes(1, 2).reshape(rows * columns, _BLOCK * _BLOCK)


class Quality:
    """Means over a second or so of one rung; it decodes what was encoded, which costs."""

    def __init__(self, decoder: str = "h264") -> None:
        self.samples = 0
        self._psnr = 0.0
        self._ssim = 0.0
        self._pictures = 0
        self._decoder: Any = av.CodecContext.create(decoder, "r")
        self._decoder.thread_count = 1

    def compare(self, source: Any, unit: Unit) -> None:
        """Take a picture as it was before it was encoded, and what was made of it."""
        frames = self._decoder.decode(av.Packet(unit.data))
        self._pictures += 1
        if not frames or self._pictures % EVERY != 1:
            return
        one, other = (_luma(frame) for frame in (source, frames[-1]))
        if one.shape == other.shape:
            self.samples += 1
            self._psnr += psnr(one, other)
            self._ssim += ssim(one, other)

    def read(self) -> tuple[float, float] | None:
        """Give the means of PSNR and SSIM since last asked; None where nothing was compared."""
        if not self.samples:
            return None
        means = self._psnr / self.samples, self._ssim / self.samples
        self.samples, self._psnr, self._ssim = 0, 0.0, 0.0
        return means


def _luma(frame: Any) -> Luma:
    whole = frame.to_ndarray(format="gray")
    return np.asarray(whole, np.float64)
