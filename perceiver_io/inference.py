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

from perceiver_io.execution import is_plain

# Rows at a time: of 512 to 4096 the fastest at 256 channels, hidden 1024.
CHUNK_ROWS = 1024
_LEAST_ROWS = 256


def worthwhile(inputs: Tensor, *modules: nn.Module) -> bool:
    """Return whether `perceptron_in_chunks` applies: float32 on a CPU, many rows, neither gradients nor tracing.

    Args:
        inputs: ``[..., C]``.
        modules: the linear maps and the norm that are passed over.
    """
    # Tracers and counters of operations are shown the usual ones.
    if not is_plain():
        return False
    tensors = [inputs, *(parameter for module in modules for parameter in module.parameters(recurse=False))]
    return (
        inputs.numel() >= _LEAST_ROWS * inputs.shape[-1]
        and all(map(_is_plain, modules))
        and all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors)
        and not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors))
        and not torch.is_autocast_enabled("cpu")
    )


def plain_linear(linear: nn.Module) -> bool:
    """Return whether a linear map is no more than its weight and bias: not adapted, quantised or hooked."""
    # A quantised weight is a tensor around others, and knows no views.
    return (
        type(linear) is nn.Linear
        and linear.bias is not None
        and not hasattr(linear.weight, "__tensor_flatten__")
        and not is_hooked(linear)
    )


def is_hooked(module: nn.Module) -> bool:
    """Return whether something is called with a module that is passed over."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(hooks)


def _is_plain(module: nn.Module) -> bool:
    """Return whether a linear map or norm is PyTorch's own: wrappers have a weight too, and do more than it says."""
    return plain_linear(module) or (type(module) is nn.LayerNorm and not is_hooked(module))


def perceptron_in_chunks(
    inputs: Tensor,
    to_hidden: nn.Linear,
    to_output: nn.Linear,
    approximate: str,
    norm: nn.LayerNorm | None = None,
    residual: Tensor | None = None,
) -> Tensor:
    """Return ``[..., O]``: two linear layers with a GELU between them, of inputs ``[..., C]``, without gradients.

    With a norm: ``X + perceptron(norm(X))``, where X is the inputs, plus ``residual`` where that is given.
    """
    rows = inputs.reshape(-1, inputs.shape[-1])
    outputs = rows.new_empty(rows.shape[0], to_output.out_features)
    hidden_weight, output_weight = (_packed(linear.weight, rows.shape[0]) for linear in (to_hidden, to_output))
    for start in range(0, rows.shape[0], CHUNK_ROWS):
        chunk, output = (tensor[start : start + CHUNK_ROWS] for tensor in (rows, outputs))
        if residual is not None:
            chunk = chunk + residual[start : start + CHUNK_ROWS]
        normed = chunk if norm is None else norm(chunk)
        hidden = _linear(normed, hidden_weight, to_hidden.bias, "gelu", approximate)
        mapped = _linear(hidden, output_weight, to_output.bias, "none", "")
        if norm is None:
            output.copy_(mapped)
        else:
            torch.add(mapped, chunk, out=output)
    return outputs.view(*inputs.shape[:-1], -1)


def _linear(inputs: Tensor, weight: Tensor, bias: Tensor, activation: str, approximate: str) -> Tensor:
    """Return a linear map of ``[R, C]``, and its GELU where asked for, by one kernel where there is one."""
    kernel = _fused_kernel()
    if kernel is not None:
        output: Tensor = kernel(inputs, weight, bias, activation, [], approximate)
        return output
    output = F.linear(inputs, weight, bias)
    return output if activation == "none" else F.gelu(output, approximate=approximate)


def _packed(weight: Tensor, num_rows: int) -> Tensor:
    """Return the weight as oneDNN keeps it, which every chunk would arrange anew; itself for few chunks."""
    if num_rows <= CHUNK_ROWS or _fused_kernel() is None:
        return weight
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), CHUNK_ROWS)
    return packed


@functools.cache
def _fused_kernel() -> Callable[..., Any] | None:
    """Return oneDNN's product with a GELU, which PyTorch's own compiler uses, or None where it is not as expected."""
    kernel = _kernel()
    if kernel is None or not torch.backends.mkldnn.is_available():
        return None
    numbers = torch.linspace(-2.0, 2.0, 48, device="cpu", dtype=torch.float32)
    inputs, weight, bias = numbers[:16].view(2, 8), numbers.view(6, 8), numbers[:6]
    expected = F.linear(inputs, weight, bias)
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, 2)
        for given in (weight, packed):
            for approximate in ("none", "tanh"):
                got = kernel(inputs, given, bias, "gelu", [], approximate)
                if not torch.allclose(got, F.gelu(expected, approximate=approximate), atol=1e-5):
                    return None
            if not torch.allclose(kernel(inputs, given, bias, "none", [], ""), expected, atol=1e-5):
                return None
    except (AttributeError, RuntimeError, TypeError):
        return None
    return kernel


def _kernel() -> Callable[..., Any] | None:
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)
