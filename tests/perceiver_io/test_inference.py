"""Without gradients the perceptron runs otherwise, and gives the same."""

from __future__ import annotations

import copy
from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils.flop_counter import FlopCounterMode

from perceiver_io import MLP, EntityTorsoKind, entity_torso, inference
from perceiver_io.blocks import add_mlp
from perceiver_io.tasks import ImageClassifier, ImageClassifierConfig, OpticalFlow, OpticalFlowConfig

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


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*")
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


class Adapted(nn.Module):
    """A linear map with something learnt beside it, as adapters wrap it: it shows the weights of what is inside."""

    def __init__(self, inside: nn.Linear) -> None:
        super().__init__()
        self.inside = inside

    @property
    def weight(self) -> Tensor:
        return self.inside.weight

    @property
    def bias(self) -> Tensor:
        return self.inside.bias

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = 2.0 * self.inside(inputs)
        return outputs


@pytest.mark.parametrize("name", ["to_hidden", "to_output"])
def test_wrapped_maps_are_called(name: str) -> None:
    norm, mlp = nn.LayerNorm(4), MLP(channels=4, widening_factor=2)
    setattr(mlp, name, Adapted(getattr(mlp, name)))
    inputs = torch.randn(300, 4)
    expected = (mlp(inputs), add_mlp(inputs, norm, mlp))
    with torch.no_grad():
        torch.testing.assert_close((mlp(inputs), add_mlp(inputs, norm, mlp)), expected)


class Quantised(Tensor):
    """A weight in eighths, as torchao has them: a tensor around another, which linear maps take, and nothing else."""

    numbers: Tensor

    @staticmethod
    def __new__(cls, weight: Tensor) -> Quantised:
        made: Quantised = Tensor._make_wrapper_subclass(cls, weight.shape, dtype=weight.dtype, device=weight.device)  # type: ignore[attr-defined]
        made.numbers = (weight.detach() * 8).round()
        return made

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["numbers"], None

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        if function is nn.functional.linear:
            inputs, weight, *bias = arguments
            return nn.functional.linear(inputs, weight.numbers / 8, *bias, **(keywords or {}))
        with torch._C.DisableTorchFunctionSubclass():
            return function(*arguments, **(keywords or {}))

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        if function is torch.ops.aten.detach.default:
            return cls(arguments[0].numbers / 8)
        raise NotImplementedError(f"{function} of a quantised weight")


@pytest.mark.parametrize("kind", get_args(EntityTorsoKind))
def test_torsos_run_with_quantised_weights(kind: EntityTorsoKind) -> None:
    torso = entity_torso(kind, entity_channels=16, output_channels=8).eval()
    rounded = copy.deepcopy(torso)
    for model in (torso, rounded):
        for linear in [module for module in model.modules() if type(module) is nn.Linear]:
            weight = Quantised(linear.weight.data)
            linear.weight = nn.Parameter(weight if model is torso else weight.numbers / 8, requires_grad=False)
    entities = torch.randn(4, 100, 16)
    with torch.no_grad():
        expected, found = (model(entities).entity_embeddings for model in (rounded, torso))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*torch.ao.quantization.*:DeprecationWarning", "ignore:.*quantize_per_tensor")
@pytest.mark.parametrize("kind", get_args(EntityTorsoKind))
def test_quantised_torsos_run(kind: EntityTorsoKind) -> None:
    torch.manual_seed(0)
    torso = entity_torso(kind, entity_channels=16, output_channels=8).eval()
    quantised = torch.ao.quantization.quantize_dynamic(torso, {nn.Linear}, dtype=torch.qint8)
    entities = torch.randn(4, 100, 16)
    with torch.no_grad():
        expected, found = (model(entities).entity_embeddings for model in (torso, quantised))
    assert (found - expected).norm() < 0.1 * expected.norm()


@pytest.mark.filterwarnings("ignore:.*torch.ao.quantization.*:DeprecationWarning", "ignore:.*quantize_per_tensor")
@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (OpticalFlow(OpticalFlowConfig(image_shape=(8, 8), num_latents=4)), (1, 2, 3, 8, 8)),
        (ImageClassifier(ImageClassifierConfig(image_shape=(8, 8), num_latents=4, features="conv1x1")), (1, 3, 8, 8)),
    ],
)
def test_quantised_tasks_run(model: nn.Module, shape: tuple[int, ...]) -> None:
    quantised = torch.ao.quantization.quantize_dynamic(model.eval(), {nn.Linear}, dtype=torch.qint8)
    with torch.no_grad():
        assert quantised(torch.randn(shape)).isfinite().all()


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*")
@pytest.mark.parametrize("rows", [100, 300])
def test_forward_gradients_are_those_of_the_backward_pass(rows: int) -> None:
    mlp = MLP(channels=4, widening_factor=2).requires_grad_(False)
    inputs, direction = torch.randn(2, rows, 4).unbind()
    _, expected = torch.autograd.functional.jvp(mlp, inputs, direction)
    torch.testing.assert_close(torch.func.jvp(mlp, (inputs,), (direction,))[1], expected)
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(mlp(forward_ad.make_dual(inputs, direction))).tangent
    torch.testing.assert_close(tangent, expected)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*")
@pytest.mark.parametrize("kind", get_args(EntityTorsoKind))
def test_torsos_have_forward_gradients(kind: EntityTorsoKind) -> None:
    torso = entity_torso(kind, entity_channels=16, output_channels=8, skip_padding=False).double()
    entities, direction = torch.randn(2, 3, 40, 16, dtype=torch.float64).unbind()
    mask = torch.rand(3, 40) < 0.7

    def total(entities: Tensor) -> Tensor:
        embeddings: Tensor = torso(entities, mask).entity_embeddings
        return embeddings.square().sum()

    (gradient,) = torch.autograd.grad(total(entities.requires_grad_()), entities)
    _, found = torch.func.jvp(total, (entities.detach(),), (direction,))
    torch.testing.assert_close(found, (gradient * direction).sum())


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
@pytest.mark.parametrize("kind", get_args(EntityTorsoKind))
def test_torsos_run_as_an_ensemble(kind: EntityTorsoKind) -> None:
    torsos = [entity_torso(kind, entity_channels=16, output_channels=8).eval() for _ in range(3)]
    weights = torch.func.stack_module_state(torsos)
    entities, mask = torch.randn(4, 100, 16), torch.rand(4, 100) < 0.7

    def embed(*weights: dict[str, Tensor]) -> Tensor:
        embeddings: Tensor = torch.func.functional_call(torsos[0], weights, (entities, mask)).entity_embeddings
        return embeddings

    for with_gradients in (True, False):
        with torch.set_grad_enabled(with_gradients):
            found = torch.vmap(embed)(*weights)
            expected = torch.stack([torso(entities, mask).entity_embeddings for torso in torsos])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["norm", "mlp"])
def test_hooks_on_norm_and_perceptron_are_heard(name: str) -> None:
    modules = {"norm": torch.nn.LayerNorm(4), "mlp": MLP(channels=4, widening_factor=2)}
    inputs, heard = torch.randn(300, 4), []
    modules[name].register_forward_hook(lambda *given: heard.append(1))
    with torch.no_grad():
        add_mlp(inputs, **modules)
    assert heard == [1]
