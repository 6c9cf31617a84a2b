"""Without gradients the perceptron runs otherwise, and gives the same."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from perceiver_io import MLP, inference
from perceiver_io.blocks import add_mlp

ROWS = (1, 255, 256, 1024, 2500)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
@pytest.mark.parametrize("rows", ROWS)
def test_numbers_are_those_with_gradients(activation: str, rows: int) -> None:
    torch.manual_seed(0)
    mlp = MLP(channels=12, widening_factor=3, activation=activation)  # type: ignore[arg-type]
    torch.nn.init.normal_(mlp.to_hidden.bias)
    torch.nn.init.normal_(mlp.to_output.bias)
    inputs = torch.randn(rows, 12)
    expected = mlp(inputs)
    assert expected.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(mlp(inputs), expected, rtol=1e-5, atol=1e-6)
    with torch.inference_mode():
        torch.testing.assert_close(mlp(inputs[:, None])[:, 0], expected, rtol=1e-5, atol=1e-6)


def test_it_is_used_for_many_rows_without_gradients_only(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = inference.perceptron_in_chunks
    monkeypatch.setattr(inference, "perceptron_in_chunks", lambda *given: calls.append(1) or original(*given))
    mlp = MLP(channels=4, widening_factor=2)
    inputs = torch.randn(256, 4)
    mlp(inputs)
    with torch.no_grad():
        mlp(inputs[:255])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mlp(inputs)
        mlp.double()(inputs.double())
        assert calls == []
        mlp.float()(inputs)
    assert calls == [1]
    mlp.requires_grad_(False)
    assert mlp(inputs.requires_grad_()).requires_grad
    assert calls == [1]


def test_whatever_learns_gets_its_gradient_and_adapters_are_heard() -> None:
    mlp = MLP(channels=4, widening_factor=2).requires_grad_(False)
    inputs = torch.randn(300, 4)
    for parameter in (mlp.to_hidden.bias, mlp.to_output.weight, mlp.to_output.bias):
        parameter.requires_grad_()
        mlp(inputs).sum().backward()
        assert parameter.grad is not None
        parameter.requires_grad_(False)
    plain = mlp(inputs)
    handle = mlp.to_hidden.register_forward_hook(lambda module, given, output: output + 1.0)
    assert not torch.allclose(mlp(inputs), plain)
    handle.remove()
    torch.testing.assert_close(mlp(inputs), plain)


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*:DeprecationWarning")
def test_a_traced_model_runs_on_more_rows() -> None:
    mlp = MLP(channels=4, widening_factor=2).requires_grad_(False)
    traced = torch.jit.trace(mlp, torch.randn(300, 4), check_trace=False)
    inputs = torch.randn(3000, 4)
    torch.testing.assert_close(traced(inputs), mlp(inputs))


def test_every_operation_is_counted() -> None:
    mlp = MLP(channels=8, widening_factor=4).requires_grad_(False)
    for rows in (100, 2048):
        with FlopCounterMode(display=False) as counter:
            mlp(torch.randn(rows, 8))
        assert counter.get_total_flops() == 2 * rows * 8 * 32 * 2


def test_it_does_without_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    mlp = MLP(channels=4, widening_factor=2)
    inputs = torch.randn(2500, 4)
    expected = mlp(inputs)
    monkeypatch.setattr(inference, "_fused_kernel", lambda: None)
    with torch.no_grad():
        torch.testing.assert_close(mlp(inputs), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", ROWS)
def test_norm_and_residual_go_with_the_perceptron(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = inference.perceptron_in_chunks
    monkeypatch.setattr(inference, "perceptron_in_chunks", lambda *given: calls.append(1) or original(*given))
    torch.manual_seed(0)
    norm, mlp = torch.nn.LayerNorm(12), MLP(channels=12, widening_factor=3)
    for parameter in (*norm.parameters(), *mlp.parameters()):
        torch.nn.init.normal_(parameter)
    inputs = torch.randn(rows, 12)
    expected = add_mlp(inputs, norm, mlp)
    assert expected.requires_grad
    assert calls == []
    with torch.no_grad():
        torch.testing.assert_close(add_mlp(inputs, norm, mlp), expected, rtol=1e-5, atol=1e-5)
    assert len(calls) == (rows >= 256)


@pytest.mark.parametrize("name", ["norm", "mlp"])
def test_hooks_on_norm_and_perceptron_are_heard(name: str) -> None:
    modules = {"norm": torch.nn.LayerNorm(4), "mlp": MLP(channels=4, widening_factor=2)}
    inputs, heard = torch.randn(300, 4), []
    modules[name].register_forward_hook(lambda *given: heard.append(1))
    with torch.no_grad():
        add_mlp(inputs, **modules)
    assert heard == [1]
