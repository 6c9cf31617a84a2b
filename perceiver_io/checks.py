"""Checks of tensors at the library's boundary: errors that say what was expected and what came."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


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
    if not tokens.is_floating_point():
        raise ValueError(f"{name}: expected a floating point dtype, got {tokens.dtype}; convert it first")


def check_mask(name: str, mask: Tensor | None, *, shape: tuple[int, int], of: str) -> None:
    """Raise ValueError unless ``mask`` is None or a bool tensor of that shape, the first two axes of ``of``."""
    if mask is None:
        return
    if mask.dtype != torch.bool:
        raise ValueError(f"{name}: expected dtype torch.bool (True = real), got {mask.dtype}; pass {name}.bool()")
    if tuple(mask.shape) != shape:
        raise ValueError(f"{name}: expected shape {list(shape)} to match {of}, got {list(mask.shape)}")


def check_shape(name: str, tensor: Tensor, shape: Sequence[int | None], *, axes: str) -> None:
    """Raise ValueError unless ``tensor`` has that shape, None standing for any size; ``axes`` names them."""
    if tensor.dim() == len(shape) and all(size in (None, got) for size, got in zip(shape, tensor.shape, strict=True)):
        return
    sizes = ", ".join("*" if size is None else str(size) for size in shape)
    raise ValueError(f"{name}: expected shape {axes} = [{sizes}], got {list(tensor.shape)}")


def check_indices(name: str, indices: Tensor, *, rank: int) -> None:
    """Raise ValueError unless ``indices`` is an integer tensor of that rank."""
    if indices.is_floating_point() or indices.is_complex() or indices.dtype == torch.bool:
        raise ValueError(f"{name}: expected an integer dtype, got {indices.dtype}; pass {name}.long()")
    if indices.dim() != rank:
        raise ValueError(f"{name}: expected {rank} axes, got {list(indices.shape)}")
