"""Convolutions and correlations in two dimensions, of the last two axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from matcalc.errors import ArgumentError

Array = Any


def conv(kernel: Array, image: Array, mode: str) -> Array:
    """The convolution in two dimensions, directly."""
    return corr(kernel[..., ::-1, ::-1], image, mode)


def convmtx(kernel: Array, rows: int, cols: int, mode: str) -> Array:
    """The matrix of the convolution of images in R^{rows x cols} with ``kernel``, under vec."""
    images = np.eye(rows * cols, dtype=kernel.dtype).reshape(rows * cols, cols, rows).transpose(0, 2, 1)
    found = conv(kernel[..., None, :, :], images, mode).swapaxes(-1, -2)
    *batch, m, n = found.shape
    return found.reshape(*batch, m * n).swapaxes(-1, -2)


def corr(kernel: Array, image: Array, mode: str) -> Array:
    """The correlation in two dimensions, of the last two axes: the sum over the windows of the image."""
    (p, q), (m, n) = kernel.shape[-2:], image.shape[-2:]
    if mode == "valid" and (p > m or q > n):
        raise ArgumentError(f"'valid' needs an image at least as large as the kernel; they are {(m, n)} and {(p, q)}")
    if mode != "valid":
        wide = np.zeros((*image.shape[:-2], m + 2 * p - 2, n + 2 * q - 2), image.dtype)
        wide[..., p - 1 : p - 1 + m, q - 1 : q - 1 + n] = image
        if mode == "same":
            wide = wide[..., (p - 1) // 2 :, (q - 1) // 2 :][..., : m + p - 1, : n + q - 1]
        image = wide
    windows = np.lib.stride_tricks.sliding_window_view(image, (p, q), (-2, -1))
    return np.einsum("...ijkl,...kl->...ij", windows, kernel)


def crop(a: Array, shape: tuple[int, int]) -> Array:
    """The central part, of the last two axes."""
    top, left = ((size - part) // 2 for size, part in zip(a.shape[-2:], shape, strict=True))
    return a[..., top : top + shape[0], left : left + shape[1]].copy()


def pad(a: Array, shape: tuple[int, int]) -> Array:
    """``a`` as the central part of zeros, in the last two axes."""
    out = np.zeros((*a.shape[:-2], *shape), a.dtype)
    top, left = ((size - part) // 2 for size, part in zip(shape, a.shape[-2:], strict=True))
    out[..., top : top + a.shape[-2], left : left + a.shape[-1]] = a
    return out


__all__ = ["conv", "convmtx", "corr", "crop", "pad"]
