"""The perceptron without gradients on a CPU: bias and GELU inside the matrix product, and few rows at a time.

Both change nothing but rounding. The hidden layer of a long list is tens of MiB, which the system would hand out and
take back at every call; a few rows of it stay in the processor's cache.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Rows at a time: of 512 to 4096 the fastest at 256 channels, hidden 1024.
CHUNK_ROWS = 1024


def gradients_wanted(*tensors: Tensor) -> bool:
    """Return whether a function of these tensors has to be differentiable."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def perceptron_in_chunks(inputs: Tensor, to_hidden: nn.Linear, to_output: nn.Linear, approximate: str) -> Tensor:
    """Return ``[..., O]``: two linear layers with a GELU between them, of inputs ``[..., C]``, without gradients."""
    rows = inputs.reshape(-1, inputs.shape[-1])
    outputs = rows.new_empty(rows.shape[0], to_output.out_features)
    for start in range(0, rows.shape[0], CHUNK_ROWS):
        hidden = linear_gelu(rows[start : start + CHUNK_ROWS], to_hidden, approximate)
        torch.addmm(to_output.bias, hidden, to_output.weight.t(), out=outputs[start : start + CHUNK_ROWS])
    return outputs.view(*inputs.shape[:-1], -1)


def linear_gelu(inputs: Tensor, linear: nn.Linear, approximate: str) -> Tensor:
    """Return the GELU of a linear map of ``[R, C]``, by one kernel where there is one."""
    kernel = _fused_kernel()
    if kernel is None or linear.bias is None:
        return F.gelu(linear(inputs), approximate=approximate)
    output: Tensor = kernel(inputs, linear.weight, linear.bias, "gelu", [], approximate)
    return output


def worthwhile(inputs: Tensor, weight: Tensor) -> bool:
    """Return whether `perceptron_in_chunks` applies: float32 on a CPU, many rows, neither gradients nor tracing."""
    return (
        inputs.device.type == "cpu"
        and inputs.dtype == weight.dtype == torch.float32
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and not gradients_wanted(inputs, weight)
        and inputs.numel() >= CHUNK_ROWS * inputs.shape[-1] // 4
    )


@functools.cache
def _fused_kernel() -> Callable[..., Any] | None:
    """Return oneDNN's product with a GELU, which PyTorch's own compiler uses, or None where it is not as expected."""
    if not torch.backends.mkldnn.is_available():
        return None
    generator = torch.Generator().manual_seed(0)
    inputs, weight, bias = (torch.randn(*shape, generator=generator) for shape in ((4, 8), (6, 8), (6,)))
    try:
        kernel = torch.ops.mkldnn._linear_pointwise
        got = [kernel(inputs, weight, bias, "gelu", [], approximate) for approximate in ("none", "tanh")]
    except (AttributeError, RuntimeError, TypeError):
        return None
    expected = [F.gelu(F.linear(inputs, weight, bias), approximate=approximate) for approximate in ("none", "tanh")]
    if not all(torch.allclose(*pair, atol=1e-5) for pair in zip(got, expected, strict=True)):
        return None
    _count_flops_of(kernel)
    return kernel


def _count_flops_of(kernel: Any) -> None:
    """Let PyTorch's FLOP counter know the kernel, which it would count as nothing."""
    from torch.utils.flop_counter import flop_registry, register_flop_formula

    if kernel not in flop_registry:
        register_flop_formula(kernel)(_linear_flops)


def _linear_flops(inputs: Any, weight: Any, *others: Any, out_shape: Any = None, **settings: Any) -> int:
    rows, channels = inputs
    return 2 * int(rows) * int(channels) * int(weight[0])
