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
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

# Rows at a time: of 512 to 4096 the fastest at 256 channels, hidden 1024.
CHUNK_ROWS = 1024
_LEAST_ROWS = 256


def worthwhile(inputs: Tensor, to_hidden: nn.Linear, to_output: nn.Linear) -> bool:
    """Return whether `perceptron_in_chunks` applies: float32 on a CPU, many rows, neither gradients nor tracing."""
    # Tracers and counters of operations are shown the usual ones.
    if torch.jit.is_tracing() or is_in_torch_dispatch_mode():  # type: ignore[attr-defined, no-untyped-call]
        return False
    weights = [parameter for linear in (to_hidden, to_output) for parameter in linear.parameters()]
    return (
        inputs.numel() >= _LEAST_ROWS * inputs.shape[-1]
        and plain_linear(to_hidden)
        and plain_linear(to_output)
        and all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in (inputs, *weights))
        and not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (inputs, *weights)))
        and not (torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"))
    )


def plain_linear(linear: nn.Module) -> bool:
    """Return whether a linear map is no more than its weight and bias: not adapted, quantised or hooked."""
    hooks = linear._forward_hooks or linear._forward_pre_hooks or linear._backward_hooks
    return type(linear) is nn.Linear and linear.bias is not None and not hooks


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
    if kernel is None:
        return F.gelu(linear(inputs), approximate=approximate)
    output: Tensor = kernel(inputs, linear.weight, linear.bias, "gelu", [], approximate)
    return output


@functools.cache
def _fused_kernel() -> Callable[..., Any] | None:
    """Return oneDNN's product with a GELU, which PyTorch's own compiler uses, or None where it is not as expected."""
    kernel = _kernel()
    if kernel is None or not torch.backends.mkldnn.is_available():
        return None
    numbers = torch.linspace(-2.0, 2.0, 48, device="cpu", dtype=torch.float32)
    inputs, weight, bias = numbers[:16].view(2, 8), numbers.view(6, 8), numbers[:6]
    for approximate in ("none", "tanh"):
        try:
            got = kernel(inputs, weight, bias, "gelu", [], approximate)
        except (RuntimeError, TypeError):
            return None
        if not torch.allclose(got, F.gelu(F.linear(inputs, weight, bias), approximate=approximate), atol=1e-5):
            return None
    return kernel


def _kernel() -> Callable[..., Any] | None:
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)
