"""Compiled, exported and ONNX models give what the eager ones give, at sizes that they were not traced with."""

import dataclasses
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from perceiver_io import EntityTorsoKind, PerceiverIO, PerceiverIOConfig, entity_torso

KINDS = get_args(EntityTorsoKind)
needs_onnx = pytest.mark.skipif(torch.__version__ < (2, 7), reason="older torch cannot turn our graphs into ONNX")
# Lists and slots: as traced, fewer and more of both, one list, one slot.
SIZES = [(3, 7), (2, 5), (5, 40), (1, 9), (4, 1)]
LISTS, SLOTS, QUERIES = Dim("lists", min=1, max=1024), Dim("slots", min=1, max=65536), Dim("queries", min=1, max=4096)
CONFIG = PerceiverIOConfig(
    input_channels=8,
    query_channels=6,
    output_channels=4,
    num_latents=3,
    latent_channels=8,
    num_blocks=2,
    num_self_attention_layers_per_block=1,
    num_self_attention_heads=2,
)


def make_torso(kind: str, **settings: Any) -> nn.Module:
    torch.manual_seed(0)
    sizes = {"perceiver": {"num_latents": 4, "latent_channels": 16, "num_self_attention_heads": 2}}.get(kind, {})
    return entity_torso(kind, entity_channels=8, output_channels=6, num_layers=1, **sizes, **settings).eval()  # type: ignore[arg-type]


def batch(num_lists: int, num_slots: int) -> tuple[Tensor, Tensor]:
    """Return entities and their mask: the first list is empty, and padding is not a number."""
    generator = torch.Generator().manual_seed(num_slots)
    entity_mask = torch.rand(num_lists, num_slots, generator=generator) < 0.6
    entity_mask[0] = False
    entities = torch.randn(num_lists, num_slots, 8, generator=generator)
    return entities.masked_fill(~entity_mask.unsqueeze(-1), torch.nan), entity_mask


def perceiver_batch(num_lists: int, num_inputs: int, num_queries: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    inputs, input_mask = batch(num_lists, num_inputs)
    queries, query_mask = batch(num_lists, num_queries)
    return inputs, queries[..., :6], input_mask, query_mask


def export_torso(torso: nn.Module) -> nn.Module:
    dynamic_shapes = ({0: LISTS, 1: SLOTS}, {0: LISTS, 1: SLOTS})
    return torch.export.export(torso, batch(3, 7), dynamic_shapes=dynamic_shapes, strict=False).module()


@pytest.mark.parametrize("skip_padding", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_exported_torso_runs_at_sizes_not_seen(kind, skip_padding):
    torso = make_torso(kind, skip_padding=skip_padding)
    exported = export_torso(torso)
    for size in SIZES:
        with torch.no_grad():
            outputs, expected = exported(*batch(*size)), torso(*batch(*size))
        torch.testing.assert_close(tuple(outputs), tuple(expected), atol=2e-5, rtol=1e-4)


def test_exported_torso_learns_as_the_eager_one():
    torso = make_torso("perceiver")
    exported = export_torso(torso)
    expected = torch.autograd.grad(torso(*batch(5, 40)).pooled.square().sum(), list(torso.parameters()))
    gradients = torch.autograd.grad(exported(*batch(5, 40)).pooled.square().sum(), list(exported.parameters()))
    names = [name for name, _ in torso.named_parameters()]
    exported_names = [name for name, _ in exported.named_parameters()]
    by_name = (dict(zip(exported_names, gradients, strict=True)), dict(zip(names, expected, strict=True)))
    torch.testing.assert_close(*by_name, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("query_residual", [True, False])
def test_exported_perceiver_runs_at_sizes_not_seen(query_residual):
    torch.manual_seed(0)
    model = PerceiverIO(dataclasses.replace(CONFIG, decoder_query_residual=query_residual))
    dynamic_shapes = (
        {0: LISTS, 1: SLOTS},
        {0: LISTS, 1: QUERIES},
        {0: LISTS, 1: SLOTS},
        {0: LISTS, 1: QUERIES},
    )
    exported = torch.export.export(
        model, perceiver_batch(3, 7, 5), dynamic_shapes=dynamic_shapes, strict=False
    ).module()
    for num_lists, num_slots in SIZES:
        arguments = perceiver_batch(num_lists, num_slots, 2 * num_slots + 1)
        torch.testing.assert_close(exported(*arguments), model(*arguments), atol=2e-5, rtol=1e-4)


def test_exported_perceiver_takes_any_number_of_shared_queries():
    torch.manual_seed(0)
    model = PerceiverIO(CONFIG)
    inputs, input_mask = batch(3, 7)
    exported = torch.export.export(
        model,
        (inputs, torch.randn(5, 6), input_mask),
        dynamic_shapes=({0: LISTS, 1: SLOTS}, {0: QUERIES}, {0: LISTS, 1: SLOTS}),
        strict=False,
    ).module()
    for num_queries in (5, 1, 60):
        inputs, input_mask = batch(2, 11)
        arguments = (inputs, torch.randn(num_queries, 6), input_mask)
        torch.testing.assert_close(exported(*arguments), model(*arguments), atol=2e-5, rtol=1e-4)


def test_one_compiled_graph_serves_all_sizes():
    torch.compiler.reset()
    torso = make_torso("perceiver")
    compiled = torch.compile(torso, backend="aot_eager", dynamic=True, fullgraph=True)
    with torch.compiler.set_stance("default"):
        check_compiled(compiled, torso, (3, 7))
    with torch.compiler.set_stance("fail_on_recompile"):
        for size in ((2, 5), (5, 40)):
            check_compiled(compiled, torso, size)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_compiled_to_machine_code():
    torch.compiler.reset()
    torso = make_torso("perceiver")
    compiled = torch.compile(torso, dynamic=True, fullgraph=True)
    for size in ((3, 7), (5, 40)):
        check_compiled(compiled, torso, size)


def check_compiled(compiled: Any, torso: nn.Module, size: tuple[int, int]) -> None:
    results = []
    for model in (compiled, torso):
        output = model(*batch(*size))
        loss = output.entity_embeddings.square().mean() + output.latents.square().mean()
        results.append((tuple(output), torch.autograd.grad(loss, list(torso.parameters()))))
    torch.testing.assert_close(results[0], results[1], atol=1e-4, rtol=1e-3)


def to_onnx(model: nn.Module, arguments: tuple[Tensor, ...], dynamic_shapes: Any, names: list[str], path: Path) -> Any:
    """Return an onnxruntime session of the model."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    program = torch.onnx.export(
        model, arguments, dynamo=True, dynamic_shapes=dynamic_shapes, input_names=names, verbose=False
    )
    program.save(path)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@needs_onnx
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_onnx_torso_runs_at_sizes_not_seen(kind, tmp_path):
    torso = make_torso(kind)
    names = ["entities", "entity_mask"]
    shapes = ({0: LISTS, 1: SLOTS}, {0: LISTS, 1: SLOTS})
    session = to_onnx(torso, batch(3, 7), shapes, names, tmp_path / "torso.onnx")
    for size in SIZES:
        with torch.no_grad():
            expected = torso(*batch(*size))
        feed = {name: tensor.numpy() for name, tensor in zip(names, batch(*size), strict=True)}
        outputs = tuple(torch.from_numpy(array) for array in session.run(None, feed))
        torch.testing.assert_close(outputs, tuple(expected), atol=1e-4, rtol=1e-4)


@needs_onnx
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_onnx_perceiver_runs_at_sizes_not_seen(tmp_path):
    torch.manual_seed(0)
    model = PerceiverIO(CONFIG).eval()
    names = ["inputs", "queries", "input_mask", "query_mask"]
    shapes = ({0: LISTS, 1: SLOTS}, {0: LISTS, 1: QUERIES}, {0: LISTS, 1: SLOTS}, {0: LISTS, 1: QUERIES})
    session = to_onnx(model, perceiver_batch(3, 7, 5), shapes, names, tmp_path / "perceiver.onnx")
    for num_lists, num_slots in SIZES:
        arguments = perceiver_batch(num_lists, num_slots, num_slots + 3)
        with torch.no_grad():
            expected = model(*arguments)
        feed = {name: tensor.numpy() for name, tensor in zip(names, arguments, strict=True)}
        torch.testing.assert_close(torch.from_numpy(session.run(None, feed)[0]), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit.trace.*")
@pytest.mark.parametrize("kind", KINDS)
def test_a_traced_torso_heeds_other_masks(kind):
    torso = make_torso(kind)
    entities, entity_mask = batch(3, 40)
    traced = torch.jit.trace(torso, (entities.nan_to_num(), torch.ones_like(entity_mask)), check_trace=False)
    with torch.no_grad():
        torch.testing.assert_close(tuple(traced(entities, entity_mask)), tuple(torso(entities, entity_mask)))
