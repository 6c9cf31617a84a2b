"""The heads of function calls against naive loops, and the blocks they are made of."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from agent.action_spec import FunctionCallSpec
from agent.config import AgentConfig
from agent.distributions import MaskedCategorical
from agent.heads.arguments import ArgumentHead, DecisionContext, Readers
from agent.heads.parallel_selection import taken_set
from agent.heads.pointer import PointerSelection, TargetPointer
from agent.heads.target_point import TargetPointHead
from agent.residual import ConvolutionBlock, GatedLinearUnit, ResidualBlock
from tests.agent import call_games as games

CONFIG = AgentConfig.of_size("dummy")
SPEC = FunctionCallSpec.from_space(games.call_space())
ENTITIES = 5


def scaled(module: Any) -> Any:
    """Return the module with weights large enough that nothing is nearly uniform."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return module


class EchoTorso:
    """Answers every query with its squashed self."""

    def encode(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        del token_mask
        return tokens

    def decode(self, memory: Tensor, token_mask: Tensor, queries: Tensor, query_mask: Tensor, token: Tensor) -> Tensor:
        del memory, token_mask, query_mask, token
        return torch.tanh(queries)


def make_readers(
    head: ArgumentHead, functions: list[int], feature_map: Tensor | None = None
) -> tuple[Readers, Tensor, Tensor]:
    """Return what a head sees of decisions of these functions, their outputs, and the entities' classes."""
    generator, number = torch.Generator().manual_seed(0), len(functions)
    entities = torch.randn(number, ENTITIES, CONFIG.channels, generator=generator)
    classes = torch.randint(1, 3, (number, ENTITIES, 2), generator=generator)
    classes[0, -1] = 0  # padding
    context = DecisionContext(
        output=torch.zeros(number, CONFIG.channels),
        gate=torch.zeros(number, CONFIG.channels),
        core=None,
        entities=entities,
        entity_classes=classes,
        feature_map=feature_map,
        action_mask=torch.ones(number, SPEC.num_functions, dtype=torch.bool),
        torso=EchoTorso(),
        memory=torch.zeros(number, 1, CONFIG.channels),
        token_mask=torch.ones(number, 1, dtype=torch.bool),
    )
    readers = Readers(context, torch.arange(number), torch.tensor(functions), head.keys(entities))
    return readers, torch.randn(number, CONFIG.channels, generator=generator), classes


@torch.no_grad()
def naive_picks(head: PointerSelection, output: Tensor, keys: Tensor, allowed: list[int], picks: list[int]) -> float:
    """Return log p of picks by one decision: the LSTM is stepped pick by pick, the end closes what is not full."""
    total, state, taken = 0.0, None, list[int]()
    steps = [*picks, ENTITIES] if len(picks) < SPEC.max_selected else picks
    for step in steps:
        mean = torch.stack([keys[slot] for slot in taken]).mean(0) if taken else torch.zeros_like(keys[0])
        hidden = F.relu(head.from_output(output) + head.from_picks(mean))
        query, state = head.lstm(head.to_input(hidden)[None, None], state)
        left = [slot for slot in allowed if slot not in taken]
        scores = {slot: float(query[0, 0] @ keys[slot]) for slot in left}
        if taken:
            scores[ENTITIES] = float(query[0, 0] @ head.end_key) + math.log(max(1, len(left)))
        total += scores[step] - math.log(sum(math.exp(score) for score in scores.values()))
        taken.append(step)
    return total


def test_picks_are_those_of_the_lstm_stepped_pick_by_pick() -> None:
    torch.manual_seed(0)
    head = scaled(PointerSelection(SPEC, CONFIG, embeds=True))
    functions = [1, 2, 3, 5, 1]
    readers, output, classes = make_readers(head, functions)
    tried = 0
    for seed in range(4):
        value, log_prob = head.act(output, readers, torch.Generator().manual_seed(seed), greedy=seed == 3)
        taken = head.taken(output, readers, value)
        torch.testing.assert_close(taken.log_prob(), log_prob, atol=1e-5, rtol=1e-4)
        for row, function in enumerate(functions):
            allowed = [slot for slot in range(ENTITIES) if int(classes[row, slot, 0]) in SPEC.selectable[function]]
            picks = [slot for slot in value[row].tolist() if slot < SPEC.max_entities]
            tried += len(picks)
            expected = naive_picks(head, output[row], readers.keys[row], allowed, picks)
            assert log_prob[row].item() == pytest.approx(expected, abs=1e-4)
    assert tried >= 25


def test_at_first_a_selection_ends_as_likely_as_it_goes_on() -> None:
    torch.manual_seed(0)
    head = PointerSelection(SPEC, CONFIG, embeds=False)
    readers, output, _ = make_readers(head, [1] * 400)
    value, _ = head.act(output, readers, torch.Generator().manual_seed(0), greedy=False)
    counts = (value < SPEC.max_entities).sum(1)
    assert counts.min() == 1
    assert float((counts == 1).float().mean()) == pytest.approx(0.5, abs=0.12)


def test_an_embedded_selection_is_the_mean_of_its_keys() -> None:
    head = scaled(PointerSelection(SPEC, CONFIG, embeds=True))
    readers, _, _ = make_readers(head, [1, 1])
    value = torch.tensor([[3, 1, 6], [0, 6, 6]])
    expected = head.from_key(torch.stack([(readers.keys[0, 3] + readers.keys[0, 1]) / 2, readers.keys[1, 0]]))
    torch.testing.assert_close(head.embed(readers, value), expected)


def test_target_is_query_times_key_among_what_the_function_may_target() -> None:
    head = scaled(TargetPointer(SPEC, CONFIG, embeds=False))
    readers, output, classes = make_readers(head, [3, 5])
    classes[1, :, 1] = torch.tensor([1, 2, 2, 1, 2])
    probabilities = head.distribution(output, readers).log_probs.exp()
    assert (probabilities[0] > 0).tolist() == [True] * 4 + [False]
    assert (probabilities[1] > 0).tolist() == [True, False, False, True, False]
    scores = [(head.to_query(output[1]) @ readers.keys[1, slot]).item() for slot in (0, 3)]
    assert probabilities[1, 0].item() == pytest.approx(1 / (1 + math.exp(scores[1] - scores[0])), rel=1e-4)


@pytest.mark.parametrize("max_selected", [1, 2, 4])
def test_parallel_selections_are_the_conditioned_and_cut_off_product(max_selected: int) -> None:
    """All subsets are enumerated: without the empty one, and each cut off after its max_selected-th unit."""
    generator = torch.Generator().manual_seed(max_selected)
    logits = torch.randn(1, 4, generator=generator, dtype=torch.float64)
    allowed = torch.tensor([[True, True, False, True]])
    p = torch.sigmoid(logits[0])
    expected: dict[tuple[int, ...], float] = {}
    for size in range(1, 4):
        for subset in itertools.combinations([0, 1, 3], size):
            probability = math.prod(float(p[i] if i in subset else 1 - p[i]) for i in (0, 1, 3))
            kept = subset[:max_selected]
            expected[kept] = expected.get(kept, 0.0) + probability
    some = 1 - math.prod(float(1 - p[i]) for i in (0, 1, 3))
    entropy = 0.0
    for subset, probability in expected.items():
        chosen = torch.tensor([[slot in subset for slot in range(4)]])
        taken = taken_set(logits, allowed, chosen, max_selected)
        assert float(taken.log_prob()) == pytest.approx(math.log(probability / some), abs=1e-8)
        entropy += probability / some * float(taken.entropy())
    joint = -sum(probability / some * math.log(probability / some) for probability in expected.values())
    assert entropy == pytest.approx(joint, abs=1e-8)


def test_parallel_selection_stays_finite_where_nothing_is_likely() -> None:
    logits = torch.full((2, 6), -20.0, requires_grad=True)
    allowed = torch.tensor([[True] * 6, [False, True, False, False, False, False]])
    chosen = torch.tensor([[False, False, True, False, False, False], [False, True, False, False, False, False]])
    taken = taken_set(logits, allowed, chosen, 3)
    torch.testing.assert_close(taken.log_prob(), torch.tensor([math.log(1 / 6), 0.0]), atol=1e-4, rtol=0.0)
    (taken.log_prob().sum() + taken.entropy().sum() + taken.kl(taken).sum()).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    ("shape", "grid"),
    [((8, 8), (8, 8)), ((16, 12), (16, 12)), ((17, 30), (9, 15)), ((64, 64), (16, 16)), ((256, 256), (16, 16))],
)
@pytest.mark.parametrize("has_map", [False, True])
def test_target_points_have_logits_for_every_cell(shape: tuple[int, int], grid: tuple[int, int], has_map: bool) -> None:
    torch.manual_seed(0)
    head = scaled(TargetPointHead(shape, CONFIG, has_feature_map=has_map))
    feature_map = torch.randn(2, CONFIG.map_channels, 8, 8)
    readers, output, _ = make_readers(head, [4, 4], feature_map)
    assert head.grid_shape == grid
    before = head.distribution(output, readers).log_probs
    assert before.shape == (2, shape[0] * shape[1])
    torch.testing.assert_close(before.exp().sum(1), torch.ones(2))
    changed, _, _ = make_readers(head, [4, 4], feature_map * torch.rand(feature_map.shape))
    assert torch.allclose(head.distribution(output, changed).log_probs, before) is not has_map
    assert not torch.allclose(head.distribution(output + 0.5, readers).log_probs, before)


def test_a_feature_of_the_map_moves_the_logits_around_its_cell() -> None:
    """Points are in rows from the top, as the map is."""
    torch.manual_seed(0)
    head = scaled(TargetPointHead((32, 32), CONFIG, has_feature_map=True))
    head.blocks = torch.nn.ModuleList()  # their norms see the whole map
    feature_map = torch.zeros(1, CONFIG.map_channels, 16, 16)
    logits = []
    for value in (0.0, 5.0):
        feature_map[0, :, 3, 12] = value
        readers, output, _ = make_readers(head, [4], feature_map.clone())
        logits.append(head.distribution(output, readers).log_probs.view(32, 32))
    # Less what the normalisation moves everywhere.
    change = (logits[1] - logits[0] - (logits[1] - logits[0])[31, 0]).abs()
    rows, columns = (change > 1e-4).nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 8, 23, 26)


def test_masked_choices_equal_torchs_categorical() -> None:
    logits, other = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    mask = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(1)) < 0.5
    mask[..., 2] = True
    ours, reference = (MaskedCategorical(each, mask, name="x") for each in (logits, other))
    theirs, their_reference = (
        torch.distributions.Categorical(logits=each.masked_fill(~mask, -1e9)) for each in (logits, other)
    )
    choice = ours.choose(torch.Generator().manual_seed(0), greedy=False)
    assert mask.gather(-1, choice[..., None]).all()
    torch.testing.assert_close(ours.log_prob(choice), theirs.log_prob(choice))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())
    torch.testing.assert_close(ours.kl(reference), torch.distributions.kl_divergence(theirs, their_reference))
    assert torch.equal(ours.choose(None, greedy=True), logits.masked_fill(~mask, -1e9).argmax(-1))


def test_gated_linear_unit_is_its_formula() -> None:
    unit, x, context = GatedLinearUnit(3, 2, 4), torch.randn(5, 3), torch.randn(5, 2)
    torch.testing.assert_close(unit(x, context), unit.output(x / (1 + torch.exp(-unit.gate(context)))))


def test_residual_blocks_add_to_their_input() -> None:
    block, convolution = ResidualBlock(4), ConvolutionBlock(4, 3)
    x, maps, context = torch.randn(2, 4), torch.randn(2, 4, 5, 6), torch.randn(2, 3)
    assert not torch.allclose(block(x), x)
    assert not torch.allclose(convolution(maps, context), convolution(maps, context + 1))
    with torch.no_grad():
        for last in (block.layers[-1], convolution.second):
            last.weight.zero_()
            last.bias.zero_()
    assert torch.equal(block(x), x)
    assert torch.equal(convolution(maps, context), maps)
