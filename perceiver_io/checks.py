"""Checks of tensors at the library's boundary: errors that say what was expected and what came."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.amp import is_autocast_available


def check_tokens(name: str, tokens: Tensor, *, channels: int, ranks: tuple[int, ...] = (3,)) -> None:
    """Raise ValueError unless ``tokens`` is floating point, of an allowed rank, with ``channels`` in the last axis."""
    expected = " or ".join(("[B, L, C]" if rank == 3 else "[L, C]") for rank in ranks)
    if tokens.dim() not in ranks:
        raise ValueError(f"{name}: expected shape {expected} with C = {channels}, got {list(tokens.shape)}")
    if tokens.shape[-1] != channels:
        raise ValueError(
            f"{name}: expected {channels} channels in the last axis, got {tokens.shape[-1]} (shape "
            f"{list(tokens.shape)}); project {name} first or change the configuration"
        )
    check_floating(name, tokens)


def check_dtype(name: str, tokens: Tensor, *, like: Tensor) -> None:
    """Raise ValueError unless ``tokens`` has the dtype of ``like``, which the model's has, or autocast is on."""
    kind = tokens.device.type
    if tokens.dtype == like.dtype or (is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
        return
    raise ValueError(
        f"{name}: expected {like.dtype}, the dtype of the model, got {tokens.dtype}; pass {name}.to({like.dtype})"
    )


def check_floating(name: str, tensor: Tensor) -> None:
    """Raise ValueError unless ``tensor`` is floating point."""
    if not tensor.is_floating_point():
        raise ValueError(f"{name}: expected a floating point dtype, got {tensor.dtype}; convert it first")


def check_mask(name: str, mask: Tensor | None, *, shape: tuple[int, int], of: str) -> None:
    """Raise ValueError unless ``mask`` is None or a bool tensor of that shape, the first two axes of ``of``."""
    if mask is None:
        return
    if not isinstance(mask, Tensor):
        raise ValueError(f"{name}: expected a bool tensor (True = real), got {type(mask).__name__}")
    if mask.dtype != torch.bool:
        raise ValueError(f"{name}: expected dtype torch.bool (True = real), got {mask.dtype}; pass {name}.bool()")
    if tuple(mask.shape) != shape:
        raise ValueError(f"{name}: expected shape {list(shape)} to match {of}, got {list(mask.shape)}")


def check_signal(name: str, signal: Tensor, shape: Sequence[int | None], *, axes: str) -> None:
    """Raise ValueError unless ``signal`` is floating point and of that shape, None for any size, of those ``axes``."""
    wanted = [got if size is None else size for size, got in zip(shape, signal.shape, strict=False)]
    if signal.dim() != len(shape) or wanted != list(signal.shape):
        sizes = ", ".join("*" if size is None else str(size) for size in shape)
        raise ValueError(f"{name}: expected shape {axes} = [{sizes}], got {list(signal.shape)}")
    check_floating(name, signal)


def check_grid(name: str, shape: Sequence[int], max_resolution: Sequence[int] | None) -> tuple[int, ...]:
    """Return the resolution of each dimension, by default the shape.

    Raises:
        ValueError: unless both are sequences of positive sizes, as many in the one as in the other.
    """
    check_resolution(name, shape)
    if max_resolution is None:
        return tuple(shape)
    check_resolution("max_resolution", max_resolution)
    if len(max_resolution) != len(shape):
        raise ValueError(f"max_resolution: expected {len(shape)} sizes, one per dimension, got {tuple(max_resolution)}")
    return tuple(max_resolution)


def check_resolution(name: str, resolution: Sequence[int]) -> None:
    """Raise ValueError unless ``resolution`` is a sequence of positive sizes, one for each dimension."""
    if not hasattr(resolution, "__len__") or len(resolution) == 0 or min(resolution) < 1:
        raise ValueError(f"{name}: expected positive sizes, one for each dimension, such as (16,), got {resolution}")


def check_indices(name: str, indices: Tensor, *, rank: int) -> None:
    """Raise ValueError unless ``indices`` is a tensor of that rank that can index: int64 or int32."""
    if indices.dtype not in (torch.int64, torch.int32):
        raise ValueError(f"{name}: expected dtype torch.int64 or torch.int32, got {indices.dtype}; pass {name}.long()")
    if indices.dim() != rank:
        raise ValueError(f"{name}: expected {rank} axes, got {list(indices.shape)}")
