"""How a model is run: as it is written, or to make a graph or another function of it."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad
from torch.utils._python_dispatch import is_in_torch_dispatch_mode


def is_plain() -> bool:
    """Return whether operations run as they are written, on data that may be looked at."""
    return not (is_recorded() or is_transformed() or is_in_torch_dispatch_mode())


def is_recorded() -> bool:
    """Return whether what is done now becomes a graph for other data: compiled, exported or traced."""
    return torch.compiler.is_compiling() or bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def is_exporting() -> bool:
    """Return whether torch.export traces one graph for all sizes; before torch 2.7, compiling counts too."""
    return bool(getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)())


def is_transformed() -> bool:
    """Return whether vmap, jvp or another transform is at work: products into a given tensor are unknown to them."""
    return has_forward_gradients() or bool(torch._C._are_functorch_transforms_active())


def has_forward_gradients() -> bool:
    """Return whether derivatives may be carried along with the numbers, as jvp does."""
    return forward_ad._current_level >= 0
