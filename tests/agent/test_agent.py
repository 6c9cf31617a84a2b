"""The whole agent: acting equals learning, and the laws of sets, batches and padding."""

import dataclasses
from typing import Any, get_args

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from agent import Agent, AgentConfig, AgentInput, AgentSpec, PackedObservation, UnrollOutput
from agent.interface import pack_observation
from agent.torso import BaselineTorso, PerceiverTorso, make_torso
from envs.spaces import ACTION_MASK, ENTITY_KEYS, PLANES, SCALARS
from perceiver_io import (
    CosformerTorso,
    DeepSetsTorso,
    EntityTorsoKind,
    SetTransformerTorso,
    TransformerTorso,
    TransformerTorsoConfig,
)
from tests.agent import games
from training.trajectory import sequence_major

CONFIGS = {
    f"{torso}-{core}": dataclasses.replace(AgentConfig.of_size("dummy"), torso=torso, core=core)
    for torso in get_args(EntityTorsoKind)
    for core in ("none", "lstm")
}
SLOTS = {
    f"{torso}-slots": dataclasses.replace(
        AgentConfig.of_size("dummy"),
        torso=torso,
        entity_queries="slot",
        decoder_query_residual=False,
        latent_channels=8,
    )
    for torso in ("perceiver", "transformer")
}
any_config = pytest.mark.parametrize("config", [*CONFIGS.values(), *SLOTS.values()], ids=[*CONFIGS, *SLOTS])
any_set_model = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
PLAIN_ACTIONS = {
    "discrete": spaces.Discrete(3),
    "multi_discrete": spaces.MultiDiscrete([2, 3]),
    "box": spaces.Box(-1, 1, (2,)),
}


def make_agent(config: AgentConfig, spec: AgentSpec | None = None, seed: int = 0) -> Agent:
    """Return an agent without any zero weight, so that nothing is hidden by one."""
    torch.manual_seed(seed)
    agent = Agent(spec or games.unit_game(), config)
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return agent


def judge(agent: Agent, packed: PackedObservation, action: Tensor | None = None) -> UnrollOutput:
    """Return the agent's values and log-probabilities of observations that each begin an episode."""
    if action is None:
        action = torch.from_numpy(packed.decision[ACTION_MASK][:, :3].argmax(1))[:, None] * torch.tensor([[1, 0, 0]])
    is_first = torch.ones(len(packed), 1, dtype=torch.bool)
    return agent.unroll(AgentInput.from_packed(packed), agent.initial_state(len(packed)), is_first, action)


def play(agent: Agent, steps: list[PackedObservation], is_first: Tensor) -> tuple[PackedObservation, Tensor, Tensor]:
    """Return all observations with the actions and log-probabilities of T acting steps, values, and first state."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(9)
    state = torch.randn_like(agent.initial_state(is_first.shape[0]))
    first_state, acted, values = state, [], []
    for t, packed in enumerate(steps):
        output = agent.step(AgentInput.from_packed(packed), state, is_first[:, t], generator=generator)
        acted.append(packed.with_decision(action=output.action.numpy(), log_prob=output.log_prob.numpy()))
        values.append(output.values)
        state = output.state
    return sequence_major(acted), torch.stack(values, 1), first_state


@any_config
def test_learning_computes_what_acting_computed(config: AgentConfig) -> None:
    agent = make_agent(config)
    rng = np.random.default_rng(0)
    steps = [games.random_units(t, rng.integers(0, 7, 3).tolist()) for t in range(6)]
    is_first = torch.zeros(3, 6, dtype=torch.bool)
    is_first[0, 2] = is_first[1, 0] = is_first[2, 5] = True
    with torch.inference_mode():
        packed, values, state = play(agent, steps, is_first)
    output = agent.unroll(
        AgentInput.from_packed(packed), state.clone(), is_first, torch.from_numpy(packed.decision["action"])
    )
    assert len(output.log_prob) > 10
    torch.testing.assert_close(output.values, values.clone(), atol=1e-5, rtol=1e-4)
    ratio = (output.log_prob - torch.from_numpy(packed.decision["log_prob"])).exp()
    torch.testing.assert_close(ratio, torch.ones_like(ratio), atol=1e-5, rtol=0.0)


@pytest.mark.parametrize("core", ["none", "lstm"])
def test_the_state_after_an_unroll_is_that_of_acting(core: str) -> None:
    agent = make_agent(CONFIGS[f"perceiver-{core}"])
    steps = [games.random_units(t, [3, 2]) for t in range(4)]
    is_first = torch.tensor([[False, False, True, False], [False] * 4])
    with torch.inference_mode():
        packed, _, state = play(agent, steps, is_first)
        _, _, first = play(agent, steps[:3], is_first[:, :3])
        ahead = agent.step(
            AgentInput.from_packed(steps[3]),
            agent.remember(AgentInput.from_packed(packed), state, is_first, 3),
            is_first[:, 3],
        ).state
    inputs, action = AgentInput.from_packed(packed), torch.from_numpy(packed.decision["action"])
    output = agent.unroll(inputs, state.clone(), is_first, action)
    assert torch.equal(first, state)
    assert output.state is not None
    assert not output.state.requires_grad
    torch.testing.assert_close(output.state, ahead.clone())


@pytest.mark.parametrize("space", ["units", *PLAIN_ACTIONS])
def test_the_parts_of_an_action_make_up_its_log_probability(space: str) -> None:
    spec = games.unit_game()
    packed = games.random_units(1, [4, 6])
    if space != "units":
        spec = AgentSpec.from_spaces(games.vector_space(3), PLAIN_ACTIONS[space], ("reward",))
        packed = pack_observation({SCALARS: np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)}, spec)
    agent = make_agent(CONFIGS["perceiver-lstm"], spec)
    inputs, is_first = AgentInput.from_packed(packed), torch.ones(len(packed), 1, dtype=torch.bool)
    for greedy in (True, False):
        state = agent.initial_state(len(packed))
        with torch.no_grad():
            action = agent.step(inputs, state, is_first[:, 0], generator=torch.Generator(), greedy=greedy).action
            output = agent.unroll(inputs, state, is_first, action, with_parts=True)
        assert len(output.parts) == len(spec.action.component_sizes)
        if spec.action.component_sizes:
            parts = output.parts.values()
            total = sum(torch.where(part.read, part.log_prob, 0.0) for part in parts)
            torch.testing.assert_close(total, output.log_prob)
            assert all(part.likeliest[part.read].all() for part in parts) is greedy
    if space == "units":
        assert all(part.read.sum() > 0 for part in output.parts.values())
        assert not all(part.read.all() for part in output.parts.values())


@pytest.mark.parametrize("config", [CONFIGS["perceiver-lstm"], CONFIGS["transformer-lstm"]], ids=str)
def test_the_core_remembers_within_an_episode_and_not_beyond(config: AgentConfig) -> None:
    agent = make_agent(config)
    inputs, state = games.random_unit_input(0, [4, 5]), agent.initial_state(2)
    is_first = torch.tensor([True, False])
    fresh = agent.step(inputs, state, is_first, greedy=True)
    later = agent.step(inputs, state + 1, is_first, greedy=True)
    torch.testing.assert_close(later.values[0], fresh.values[0])
    assert not torch.allclose(later.values[1], fresh.values[1])
    assert not torch.allclose(fresh.state, state)


@any_set_model
def test_permuting_entities_permutes_decisions_and_keeps_values(config: AgentConfig) -> None:
    agent = make_agent(config)
    rng = np.random.default_rng(3)
    observation = games.random_observation(games.unit_observation_space(), rng, [5, 6])
    # The neighbourhood reads one entity of a cell, so every entity gets a cell of its own.
    for n, count in enumerate((5, 6)):
        cells = rng.permutation(games.WIDTH * games.HEIGHT)[:count]
        observation["entity_positions"][n, :count] = np.stack([cells % games.WIDTH, cells // games.WIDTH], 1)
    order = np.stack([[3, 0, 4, 1, 2, 5], [5, 2, 0, 1, 4, 3]])
    permuted = dict(observation)
    for key in (*ENTITY_KEYS, ACTION_MASK):
        permuted[key] = np.stack([observation[key][n][order[n]] for n in range(2)])
    spec = games.unit_game()
    before, after = pack_observation(observation, spec), pack_observation(permuted, spec)
    outputs, permuted_outputs = judge(agent, before), judge(agent, after)
    torch.testing.assert_close(permuted_outputs.values, outputs.values, atol=1e-5, rtol=1e-4)
    samples = np.repeat(np.arange(2), before.decision_counts)
    by_unit = {(n, slot): row for row, (n, slot) in enumerate(zip(samples, before.decision["slot"], strict=True))}
    rows = [by_unit[n, order[n][slot]] for n, slot in zip(samples, after.decision["slot"], strict=True)]
    assert sorted(rows) == list(range(len(before.decision["slot"])))
    assert rows != sorted(rows)
    torch.testing.assert_close(permuted_outputs.log_prob, outputs.log_prob[rows], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(permuted_outputs.entropy, outputs.entropy[rows], atol=1e-5, rtol=1e-4)


@any_config
def test_other_observations_of_the_batch_change_nothing(config: AgentConfig) -> None:
    agent = make_agent(config)
    space, spec = games.unit_observation_space(), games.unit_game()
    observation = games.random_observation(space, np.random.default_rng(4), [2, 0, 6, 4])
    together = judge(agent, pack_observation(observation, spec))
    log_probs = together.log_prob.split(pack_observation(observation, spec).decision_counts.tolist())
    for n in range(4):
        alone = judge(agent, pack_observation({key: value[n : n + 1] for key, value in observation.items()}, spec))
        torch.testing.assert_close(alone.values[0], together.values[n], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(alone.log_prob, log_probs[n], atol=1e-5, rtol=1e-4)


def test_what_padding_holds_never_matters() -> None:
    agent = make_agent(CONFIGS["perceiver-lstm"])
    space, spec, counts = games.unit_observation_space(), games.unit_game(), [2, 0, 5]
    observation = games.random_observation(space, np.random.default_rng(5), counts)
    outputs = judge(agent, pack_observation(observation, spec))
    padding = np.arange(games.MAX_ENTITIES) >= np.asarray(counts)[:, None]
    observation["entity_values"][padding] = np.nan
    observation["entity_categories"][padding] = -1
    observation["entity_positions"][padding] = 10**6
    observation[ACTION_MASK][padding] = 1
    assert torch.equal(judge(agent, pack_observation(observation, spec)).values, outputs.values)
    assert torch.equal(judge(agent, pack_observation(observation, spec)).log_prob, outputs.log_prob)


@any_config
@pytest.mark.parametrize("counts", [[0, 0], [3, 0]])
@pytest.mark.parametrize("only_entities", [False, True])
def test_without_entities_or_decisions_everything_is_finite(
    config: AgentConfig, counts: list[int], only_entities: bool
) -> None:
    space = games.unit_observation_space()
    if only_entities:
        space = spaces.Dict({key: space.spaces[key] for key in (*ENTITY_KEYS, ACTION_MASK)})
    spec = AgentSpec.from_spaces(space, games.unit_action_space())
    agent = make_agent(config, spec)
    observation = games.random_observation(space, np.random.default_rng(6), counts, orders=False)
    packed = pack_observation(observation, spec)
    inputs, is_first = AgentInput.from_packed(packed), torch.ones(2, dtype=torch.bool)
    acted = agent.step(inputs, agent.initial_state(2), is_first)
    assert acted.action.shape == (0, 3)
    output = judge(agent, packed, acted.action)
    assert output.log_prob.shape == output.entropy.shape == (0,)
    (output.values.sum() + output.log_prob.sum() + output.entropy.sum()).backward()
    assert torch.isfinite(output.values).all()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in agent.parameters())


@pytest.mark.parametrize("size", ["dummy", "small", "full"])
@pytest.mark.parametrize("torso", get_args(EntityTorsoKind))
def test_every_size_acts_legally(torso: Any, size: Any) -> None:
    torch.manual_seed(0)
    agent = Agent(games.unit_game(), dataclasses.replace(AgentConfig.of_size(size), torso=torso))
    packed = games.random_units(7, [4, 6, 0])
    inputs = AgentInput.from_packed(packed)
    for greedy in (False, True):
        output = agent.step(inputs, agent.initial_state(3), torch.ones(3, dtype=torch.bool), greedy=greedy)
        assert output.values.shape == (3, 2)
        for row, mask in enumerate(packed.decision[ACTION_MASK]):
            parts = np.split(mask, [3, 7])
            assert all(part[choice] for part, choice in zip(parts, output.action[row].tolist(), strict=True))
        torch.testing.assert_close(output.log_prob, judge(agent, packed, output.action).log_prob)


def test_first_policy_is_nearly_uniform_and_first_values_are_zero() -> None:
    torch.manual_seed(0)
    agent = Agent(games.unit_game(), AgentConfig.of_size("small"))
    packed = games.random_units(8, [6, 6])
    output = judge(agent, packed)
    assert torch.equal(output.values, torch.zeros_like(output.values))
    legal_types = torch.from_numpy(packed.decision[ACTION_MASK][:, :3].sum(1))
    uniform = -legal_types.float().log()
    type_only = torch.from_numpy(packed.decision[ACTION_MASK][:, :3].argmax(1)) == 0
    assert type_only.any()
    torch.testing.assert_close(output.log_prob[type_only], uniform[type_only], atol=0.05, rtol=0.0)


@pytest.mark.parametrize("action_space", PLAIN_ACTIONS.values(), ids=PLAIN_ACTIONS)
@pytest.mark.parametrize("with_image", [False, True])
def test_plain_gymnasium_spaces(action_space: spaces.Space[Any], with_image: bool) -> None:
    keys: dict[str, spaces.Space[Any]] = {SCALARS: spaces.Box(-np.inf, np.inf, (3,), np.float32)}
    if with_image:
        keys = {PLANES: spaces.Box(0, 255, (3, 10, 12), np.uint8)}
    space = spaces.Dict(keys)
    spec = AgentSpec.from_spaces(space, action_space)
    agent = make_agent(CONFIGS["perceiver-lstm"], spec)
    packed = pack_observation(games.random_observation(space, np.random.default_rng(9), [0, 0, 0, 0]), spec)
    inputs, is_first = AgentInput.from_packed(packed), torch.ones(4, dtype=torch.bool)
    acted = agent.step(inputs, agent.initial_state(4), is_first)
    output = agent.unroll(inputs, agent.initial_state(4), is_first[:, None], acted.action)
    assert acted.action.shape == (4, spec.action.action_size)
    assert acted.action.is_floating_point() == isinstance(action_space, spaces.Box)
    torch.testing.assert_close(output.log_prob, acted.log_prob)
    torch.testing.assert_close(output.values[:, 0], acted.values)
    assert output.values.std() > 0


def test_image_brightness_is_scaled_to_one() -> None:
    """The same picture as bytes and as fractions gives the same values: the agent divides by the plane's bound."""
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 8, 8)).astype(np.uint8)
    bytes_space = spaces.Dict({PLANES: spaces.Box(0, 255, (1, 8, 8), np.uint8)})
    unit_space = spaces.Dict({PLANES: spaces.Box(0, 1, (1, 8, 8), np.float32)})
    outputs = []
    for space, planes in ((bytes_space, images), (unit_space, (images / 255).astype(np.float32))):
        spec = AgentSpec.from_spaces(space, spaces.Discrete(2))
        packed = pack_observation({PLANES: planes}, spec)
        outputs.append(judge(make_agent(CONFIGS["perceiver-none"], spec), packed, torch.zeros(2, 1, dtype=torch.int64)))
    torch.testing.assert_close(outputs[0].values, outputs[1].values)
    torch.testing.assert_close(outputs[0].log_prob, outputs[1].log_prob)


@any_config
def test_state_dict_round_trip(config: AgentConfig) -> None:
    agent, other = make_agent(config, seed=0), make_agent(config, seed=1)
    packed = games.random_units(10, [4, 6])
    assert not torch.equal(judge(agent, packed).values, judge(other, packed).values)
    other.load_state_dict(agent.state_dict())
    assert torch.equal(judge(agent, packed).values, judge(other, packed).values)
    assert torch.equal(judge(agent, packed).log_prob, judge(other, packed).log_prob)


@any_config
def test_every_parameter_gets_a_gradient(config: AgentConfig) -> None:
    agent = make_agent(config)
    output = judge(agent, games.random_units(11, [5, 6, 6]))
    (output.values.sum() + output.log_prob.sum() + output.entropy.sum()).backward()
    without = {name for name, parameter in agent.named_parameters() if parameter.grad is None}
    if config.core == "lstm":
        # In an episode's first step, the hidden state that these read is zero.
        without |= {name for name in dict(agent.named_parameters()) if "hidden_gates" in name}
    zero = {name for name, p in agent.named_parameters() if name not in without and p.grad.abs().max() < 1e-6}  # type: ignore[union-attr]
    assert not zero
    assert all("hidden_gates" in name for name in without)


def test_divergence_from_a_teacher() -> None:
    config = CONFIGS["perceiver-lstm"]
    agent, teacher = make_agent(config, seed=0), make_agent(config, seed=1)
    packed = games.random_units(12, [6, 5])
    inputs, state, is_first = AgentInput.from_packed(packed), agent.initial_state(2), torch.ones(2, 1).bool()
    action = torch.from_numpy(packed.decision[ACTION_MASK][:, :3].argmax(1))[:, None].expand(-1, 3)
    same = agent.unroll(inputs, state, is_first, action, teacher=agent).kl
    far = agent.unroll(inputs, state, is_first, action, teacher=teacher).kl
    assert same is not None
    assert far is not None
    torch.testing.assert_close(same, torch.zeros_like(same))
    assert far.mean() > 1e-3
    assert (far >= 0).all()
    far.sum().backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"torso": "transformr"}, "torso: expected one of perceiver, transformer, .* got 'transformr'"),
        ({"channels": 0}, "channels must be at least 1, got 0"),
        ({"channels": 10, "num_heads": 4}, r"channels \(10\) must be divisible by num_heads \(4\)"),
        ({"neighbourhood_radius": -1}, "neighbourhood_radius must be 0"),
        ({"core_layers": 0}, "core_layers must be at least 1, got 0"),
        ({"point_blocks": 0}, "point_blocks must be at least 1, got 0"),
        ({"latent_channels": 0}, "latent_channels must be at least 1, or None for channels, got 0"),
        ({"latent_channels": 10}, r"latent_channels \(10\) must be divisible by num_heads \(4\)"),
        ({"entity_queries": "learned"}, "entity_queries: expected token or slot, got 'learned'"),
        ({"selection": "serial"}, "selection: expected pointer or parallel, got 'serial'"),
    ],
)
def test_sizes_that_cannot_be_are_errors(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(AgentConfig(), **change)


def test_unknown_size_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected dummy, small or full"):
        AgentConfig.of_size("huge")  # type: ignore[arg-type]


def test_each_torso_is_the_model_that_its_name_says() -> None:
    config = dataclasses.replace(AgentConfig.of_size("full"), num_latents=5)
    torsos = {kind: make_torso(dataclasses.replace(config, torso=kind)) for kind in get_args(EntityTorsoKind)}
    assert isinstance(torsos["perceiver"], PerceiverTorso)
    baselines = {kind: torso.baseline for kind, torso in torsos.items() if isinstance(torso, BaselineTorso)}
    classes = [TransformerTorso, SetTransformerTorso, CosformerTorso, DeepSetsTorso]
    assert [type(baseline) for baseline in baselines.values()] == classes
    assert baselines["transformer"].config == TransformerTorsoConfig(output_channels=None)
    assert {layer.inducing_points.shape for layer in baselines["set_transformer"].layers} == {(5, 256)}


@pytest.mark.parametrize("torso", ["transformer", "deep_sets"])
def test_a_unit_is_answered_by_its_own_token_and_a_learned_query_by_the_mean(torso: Any) -> None:
    torch.manual_seed(0)
    baseline = make_torso(dataclasses.replace(AgentConfig(), torso=torso))
    tokens, token_mask = torch.randn(2, 3, 64), torch.tensor([[True, False, True], [False, False, False]])
    memory = baseline.encode(tokens, token_mask)
    queries = torch.randn(2, 2, 64)
    query_mask, query_token = torch.tensor([[True, True], [True, False]]), torch.tensor([[2, -1], [-1, -1]])
    outputs = baseline.decode(memory, token_mask, queries, query_mask, query_token)
    answers = torch.stack([memory[0, 2], (memory[0, 0] + memory[0, 2]) / 2, torch.zeros(64)])
    merged = answers + queries[query_mask]
    assert isinstance(baseline, BaselineTorso)
    torch.testing.assert_close(outputs[query_mask], merged + baseline.merge(merged))
    assert not outputs[1, 1].any()


def test_latents_have_a_width_of_their_own() -> None:
    torso = make_torso(dataclasses.replace(AgentConfig(), latent_channels=32))
    memory = torso.encode(torch.randn(2, 5, 64), torch.ones(2, 5, dtype=torch.bool))
    assert memory.shape == (2, 16, 32)
    queries, query_mask = torch.randn(2, 3, 64), torch.ones(2, 3, dtype=torch.bool)
    outputs = torso.decode(memory, torch.ones(2, 5, dtype=torch.bool), queries, query_mask, -torch.ones(2, 3).long())
    assert outputs.shape == (2, 3, 64)


def test_the_query_residual_is_what_is_added_before_the_last_perceptron() -> None:
    """Answers that nothing was read for are the query and what the perceptron makes of it, or of zeros without it."""
    queries, tokens, real = torch.randn(1, 3, 64), torch.randn(1, 4, 64), torch.ones(1, 4, dtype=torch.bool)
    for residual in (True, False):
        torso = make_torso(dataclasses.replace(AgentConfig(), decoder_query_residual=residual))
        assert isinstance(torso, PerceiverTorso)
        block = torso.perceiver.decoder.cross_attention
        torch.nn.init.zeros_(block.attention.to_output.weight)
        outputs = torso.decode(torso.encode(tokens, real), real, queries, real[:, :3], -torch.ones(1, 3).long())
        rows = queries if residual else torch.zeros_like(queries)
        torch.testing.assert_close(outputs, rows + block.mlp(block.mlp_norm(rows)))


def test_with_slots_a_query_knows_of_its_entity_only_where_it_stands() -> None:
    """Two queries differ by their slots' vectors alone, and swapping two units does not swap what is asked for them."""
    agent = make_agent(SLOTS["perceiver-slots"])
    packed = games.random_units(13, [6])
    inputs = AgentInput.from_packed(packed)
    tokens = agent._tokens(inputs)
    assert tokens.entities is not None
    asked = [
        agent._decision_queries(inputs, entities, None).queries for entities in (tokens.entities, 0 * tokens.entities)
    ]
    slots = torch.from_numpy(packed.decision["slot"])
    neighbourhoods = [agent._neighbourhood(inputs, entities) for entities in (tokens.entities, 0 * tokens.entities)]
    for queries, neighbourhood in zip(asked, neighbourhoods, strict=True):
        expected = agent.decision_query.weight + agent.slot_vectors.query[slots] + neighbourhood
        torch.testing.assert_close(queries[0], expected)
    unmarked = tokens.tokens[0, :6] - agent.slot_vectors.token
    torch.testing.assert_close(unmarked, tokens.entities)
