"""Agents that call functions: laws of probability over whole actions, of sets and of padding; acting is learning."""

import dataclasses
import itertools
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from agent import Agent, AgentConfig, AgentInput, AgentSpec, PackedObservation, UnrollOutput
from agent.interface import pack_observation
from envs.function_calls import FIRST_SELECTED, FunctionCallSpace
from envs.spaces import ACTION_MASK, ENTITY_CLASSES, ENTITY_KEYS, VALUE_SCALARS
from perceiver_io import EntityTorsoKind
from tests.agent import call_games as games
from tests.agent.test_agent import play
from training.rollout import environment_actions

DUMMY = AgentConfig.of_size("dummy")
CONFIGS = {
    f"{torso}-{core}-{selection}": dataclasses.replace(DUMMY, torso=torso, core=core, selection=selection)
    for torso, core, selection in (
        ("perceiver", "lstm", "pointer"),
        ("perceiver", "none", "parallel"),
        ("transformer", "lstm", "pointer"),
        ("deep_sets", "none", "pointer"),
    )
}
SLOTS = {
    f"{torso}-slots": dataclasses.replace(CONFIGS["perceiver-lstm-pointer"], torso=torso, entity_queries="slot")
    for torso in ("perceiver", "transformer")
}
any_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
any_query = pytest.mark.parametrize("config", [*CONFIGS.values(), *SLOTS.values()], ids=[*CONFIGS, *SLOTS])
any_selection = pytest.mark.parametrize("selection", ["pointer", "parallel"])
TINY = games.call_space(max_selected=2, point_shape=(2, 2), max_delay=2, max_entities=3)


def make_agent(config: AgentConfig, spec: AgentSpec | None = None, seed: int = 0, noise: float = 0.2) -> Agent:
    """Return an agent without any zero weight, so that nothing is hidden by one."""
    torch.manual_seed(seed)
    agent = Agent(spec or games.call_game(), config)
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(noise * torch.randn_like(parameter))
    return agent


def judge(agent: Agent, packed: PackedObservation, action: Tensor, teacher: Agent | None = None) -> UnrollOutput:
    """Return what the learner sees of observations that each begin an episode."""
    is_first = torch.ones(len(packed), 1, dtype=torch.bool)
    state = agent.initial_state(len(packed))
    return agent.unroll(AgentInput.from_packed(packed), state, is_first, action, teacher=teacher)


def act(agent: Agent, packed: PackedObservation, seed: int = 0, *, greedy: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    is_first = torch.ones(len(packed), dtype=torch.bool)
    state = agent.initial_state(len(packed))
    output = agent.step(AgentInput.from_packed(packed), state, is_first, generator=generator, greedy=greedy)
    return output.action, output.log_prob


def all_calls(space: FunctionCallSpace, observation: dict[str, Any], *, ordered: bool) -> Tensor:
    """Return every legal call for a batch of one observation; of selections in any order, one, unless `ordered`."""
    calls = []
    selection_class, target_class = observation[ENTITY_CLASSES][0].T * observation["entity_mask"][0]
    for function in np.flatnonzero(observation[ACTION_MASK][0]):
        read = space.arguments[function]
        slots = np.flatnonzero(space.selection_table[function, selection_class])
        groups = itertools.permutations if ordered else itertools.combinations
        selections: list[tuple[int, ...]] = [()]
        if "selected" in read:
            selections = [group for size in range(1, space.max_selected + 1) for group in groups(slots, size)]
        targets = np.flatnonzero(space.target_table[function, target_class]) if "target_entity" in read else [0]
        sizes = space.component_sizes
        plain = [range(sizes[name]) if name in read else [0] for name in ("queued", "repeat", "target_point")]
        for delay, queued, repeat, point, target, group in itertools.product(
            range(sizes["delay"]), *plain, targets, selections
        ):
            padded = [*group, *[space.max_entities] * (space.max_selected - len(group))]
            calls.append([function, delay, queued, repeat, target, point, *padded])
    return torch.tensor(np.array(calls, np.int64))


def repeated(observation: dict[str, Any], times: int, spec: AgentSpec) -> PackedObservation:
    return pack_observation({key: np.repeat(value, times, 0) for key, value in observation.items()}, spec)


@any_selection
def test_probabilities_of_all_calls_sum_to_one_and_entropy_and_kl_are_the_joint_ones(selection: Any) -> None:
    """The sums along the taken action are, weighted by its probability, those of the joint distribution."""
    config = dataclasses.replace(DUMMY, selection=selection)
    spec = games.call_game(TINY)
    agent, teacher = (make_agent(config, spec, seed, noise=0.6) for seed in (0, 1))
    observation = games.random_observation(2, [3], TINY)
    observation[ENTITY_CLASSES][0] = [[1, 1], [2, 2], [2, 1]]
    observation[ACTION_MASK][0] = [1, 1, 1, 1, 1, 1]
    calls = all_calls(TINY, observation, ordered=selection == "pointer")
    packed = repeated(observation, len(calls), spec)
    with torch.no_grad():
        output, reference = judge(agent, packed, calls, teacher), judge(teacher, packed, calls)
    probabilities = output.log_prob.exp()
    assert len(calls) > 500
    torch.testing.assert_close(probabilities.sum(), torch.ones(()), atol=1e-4, rtol=0.0)
    entropy = -(probabilities * output.log_prob).sum()
    torch.testing.assert_close((probabilities * output.entropy).sum(), entropy, atol=1e-3, rtol=1e-4)
    divergence = (probabilities * (output.log_prob - reference.log_prob)).sum()
    assert output.kl is not None
    assert divergence > 0.1
    torch.testing.assert_close((probabilities * output.kl).sum(), divergence, atol=1e-3, rtol=1e-4)


@any_selection
def test_calls_are_as_frequent_as_probable(selection: Any) -> None:
    spec = games.call_game(TINY)
    agent = make_agent(dataclasses.replace(DUMMY, selection=selection), spec, noise=0.5)
    observation = games.random_observation(2, [3], TINY)
    observation[ENTITY_CLASSES][0] = [[1, 1], [2, 2], [1, 1]]
    observation[ACTION_MASK][0] = [0, 1, 0, 1, 0, 0]
    calls = all_calls(TINY, observation, ordered=selection == "pointer")
    draws = 20_000
    with torch.inference_mode():
        expected = judge(agent, repeated(observation, len(calls), spec), calls).log_prob.exp()
        drawn, log_prob = act(agent, repeated(observation, draws, spec))
    index = {tuple(call): row for row, call in enumerate(calls.tolist())}
    rows = torch.tensor([index[tuple(call)] for call in drawn.tolist()])
    counts = rows.bincount(minlength=len(calls)) / draws
    assert 0.5 * (counts - expected).abs().sum() < 0.03
    torch.testing.assert_close(log_prob, expected.log()[rows], atol=1e-4, rtol=1e-4)


@any_selection
def test_the_parts_of_a_call_make_up_its_log_probability(selection: Any) -> None:
    agent = make_agent(dataclasses.replace(DUMMY, selection=selection))
    packed = games.random_calls(2, [6, 4, 5, 3, 6, 6] * 4)
    inputs, state = AgentInput.from_packed(packed), agent.initial_state(len(packed))
    is_first = torch.ones(len(packed), 1, dtype=torch.bool)
    for greedy in (True, False):
        with torch.no_grad():
            action, _ = act(agent, packed, greedy=greedy)
            output = agent.unroll(inputs, state, is_first, action, with_parts=True)
        assert greedy or "selected" in output.parts
        total = sum(torch.where(part.read, part.log_prob, 0.0) for part in output.parts.values())
        torch.testing.assert_close(total, output.log_prob)
        assert output.parts["function"].read.all()
        assert greedy or not output.parts["selected"].read.all()
        # The likeliest set need not be that of the likeliest answers one after another.
        parts = [part for name, part in output.parts.items() if (name, selection) != ("selected", "parallel")]
        assert all(part.likeliest[part.read].all() for part in parts) is greedy


@any_query
def test_learning_computes_what_acting_computed_also_over_an_episodes_end(config: AgentConfig) -> None:
    agent = make_agent(config)
    rng = np.random.default_rng(0)
    steps = [games.random_calls(t, rng.integers(0, 7, 3).tolist()) for t in range(12)]
    is_first = torch.zeros(3, 12, dtype=torch.bool)
    is_first[0, 2] = is_first[1, 0] = is_first[2, 5] = True
    with torch.inference_mode():
        packed, values, state = play(agent, steps, is_first)
    action = torch.from_numpy(packed.decision["action"])
    output = agent.unroll(AgentInput.from_packed(packed), state.clone(), is_first, action)
    assert len(action) == 36
    assert len(action[:, 0].unique()) >= 5
    torch.testing.assert_close(output.values, values.clone(), atol=1e-5, rtol=1e-4)
    ratio = (output.log_prob - torch.from_numpy(packed.decision["log_prob"])).exp()
    torch.testing.assert_close(ratio, torch.ones_like(ratio), atol=3e-5, rtol=0.0)


@any_config
def test_calls_are_legal_and_in_the_space(config: AgentConfig) -> None:
    space = games.call_space()
    agent = make_agent(config, noise=0.4)
    observation = games.random_observation(1, [6, 5, 4, 3, 2, 1, 0] * 6)
    packed = pack_observation(observation, agent.spec)
    for greedy in (False, True):
        action, log_prob = act(agent, packed, greedy=greedy)
        torch.testing.assert_close(judge(agent, packed, action).log_prob, log_prob, atol=1e-4, rtol=1e-4)
        for n, call in enumerate(environment_actions(packed, action.numpy(), agent.spec)):
            function, read = call[0], space.arguments[call[0]]
            assert space.contains(call)
            assert observation[ACTION_MASK][n, function]
            assert all(
                call[column] == 0
                for column, name in enumerate(space.component_sizes)
                if 1 < column < 6 and name not in read
            )
            selected = call[FIRST_SELECTED:][call[FIRST_SELECTED:] < space.max_entities]
            assert (len(selected) > 0) == ("selected" in read)
            real = observation["entity_mask"][n] == 1
            classes = observation[ENTITY_CLASSES][n]
            assert all(real[slot] and space.selection_table[function, classes[slot, 0]] for slot in selected)
            if "target_entity" in read:
                assert real[call[4]]
                assert space.target_table[function, classes[call[4], 1]]


@any_config
def test_permuting_entities_permutes_pointers(config: AgentConfig) -> None:
    """Without the order, which a parallel selection is told in, the probabilities are the same."""
    agent = make_agent(config)
    observation = games.random_observation(3, [5, 6])
    observation[ACTION_MASK][:] = observation[ACTION_MASK] * [0, 1, 1, 1, 0, 1]
    order = np.array([[3, 0, 4, 1, 2, 5], [5, 2, 0, 1, 4, 3]])
    permuted = dict(observation)
    for key in (*ENTITY_KEYS, ENTITY_CLASSES):
        permuted[key] = np.stack([observation[key][n][order[n]] for n in range(2)])
    packed, shuffled = (pack_observation(each, agent.spec) for each in (observation, permuted))
    seen = set()
    for seed in range(8):
        action, _ = act(agent, packed, seed)
        inverse = torch.from_numpy(np.concatenate([order.argsort(1), [[6], [6]]], 1))
        moved = action.clone()
        moved[:, FIRST_SELECTED:] = inverse.gather(1, action[:, FIRST_SELECTED:])
        if config.selection == "parallel":
            moved[:, FIRST_SELECTED:] = moved[:, FIRST_SELECTED:].sort(1).values
        targets = torch.tensor(["target_entity" in games.FUNCTIONS[function] for function in action[:, 0]])
        moved[:, 4] = torch.where(targets, inverse.gather(1, action[:, 4:5])[:, 0], 0)
        before, after = judge(agent, packed, action), judge(agent, shuffled, moved)
        torch.testing.assert_close(after.values, before.values, atol=1e-5, rtol=1e-4)
        few = (action[:, FIRST_SELECTED:] < 6).sum(1) < 3  # a full parallel selection depends on the order
        seen |= set(action[few, 0].tolist())
        torch.testing.assert_close(after.log_prob[few], before.log_prob[few], atol=1e-4, rtol=1e-4)
    assert seen >= {1, 2, 3}


@any_query
def test_padding_and_other_observations_change_nothing(config: AgentConfig) -> None:
    agent = make_agent(config)
    observation = games.random_observation(4, [2, 0, 6, 4])
    packed = pack_observation(observation, agent.spec)
    action, _ = act(agent, packed)
    together = judge(agent, packed, action)
    padding = np.arange(6) >= np.array([2, 0, 6, 4])[:, None]
    observation["entity_values"][padding] = np.nan
    observation["entity_categories"][padding] = -1
    observation["entity_positions"][padding] = 10**6
    observation[ENTITY_CLASSES][padding] = 99
    assert torch.equal(judge(agent, pack_observation(observation, agent.spec), action).log_prob, together.log_prob)
    for n in range(4):
        single = pack_observation({key: value[n : n + 1] for key, value in observation.items()}, agent.spec)
        alone = judge(agent, single, action[n : n + 1])
        torch.testing.assert_close(alone.log_prob[0], together.log_prob[n], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(alone.entropy[0], together.entropy[n], atol=1e-4, rtol=1e-4)


@any_config
def test_arguments_that_a_function_does_not_read_change_nothing(config: AgentConfig) -> None:
    agent = make_agent(config)
    packed = games.random_calls(5, [6] * 12)
    action, _ = act(agent, packed)
    garbage = action.clone()
    for column, name in enumerate(("queued", "repeat", "target_entity", "target_point"), 2):
        unread = torch.tensor([name not in games.FUNCTIONS[function] for function in action[:, 0]])
        garbage[unread, column] = 1
    unread = torch.tensor(["selected" not in games.FUNCTIONS[function] for function in action[:, 0]])
    garbage[unread, FIRST_SELECTED:] = torch.tensor([2, 0, 1])
    assert (garbage != action).any(1).sum() > 5
    expected, got = judge(agent, packed, action), judge(agent, packed, garbage)
    torch.testing.assert_close(got.log_prob, expected.log_prob)
    torch.testing.assert_close(got.entropy, expected.entropy)


def test_each_argument_knows_those_before_it() -> None:
    """Another function, delay or selection changes what a later argument's distribution is."""
    agent = make_agent(DUMMY, noise=0.5)
    packed = games.random_calls(6, [6])
    base = [2, 0, 0, 0, 0, 9, 0, 6, 6]
    classes = packed.entity[ENTITY_CLASSES]
    classes[:, 0] = 1
    changes = {"delay": (1, 3), "queued": (2, 1), "repeat": (3, 2), "selected": (FIRST_SELECTED, 3)}
    parts = {}
    for name, (column, value) in {"nothing": (0, 2), **changes}.items():
        call = list(base)
        call[column] = value
        parts[name] = _argument_log_probs(agent, packed, torch.tensor([call]))
    order = ["function", "delay", "queued", "repeat", "selected", "target_point"]
    for name in changes:
        changed = [other for other in order if not torch.allclose(parts[name][other], parts["nothing"][other])]
        assert changed == order[order.index(name) :]


def _argument_log_probs(agent: Agent, packed: PackedObservation, action: Tensor) -> dict[str, Tensor]:
    is_first = torch.ones(1, 1, dtype=torch.bool)
    _, policy, _ = agent._unroll_outputs(AgentInput.from_packed(packed), agent.initial_state(1), is_first)
    names = ["function", *agent.call_head.arguments]
    read = [name for name in names if name == "function" or name in ("delay", *games.FUNCTIONS[action[0, 0]])]
    taken = policy._taken(action)  # type: ignore[attr-defined]
    assert list(taken) == read
    return {name: part.log_prob() for name, (_, part) in taken.items()}


@any_config
def test_what_the_value_functions_see_alone_does_not_reach_the_policy(config: AgentConfig) -> None:
    agent = make_agent(config)
    observation = games.random_observation(7, [4, 5, 6])
    packed = pack_observation(observation, agent.spec)
    observation[VALUE_SCALARS] = observation[VALUE_SCALARS] + 1
    changed = pack_observation(observation, agent.spec)
    action, _ = act(agent, packed)
    assert torch.equal(act(agent, changed)[0], action)
    before, after = judge(agent, packed, action), judge(agent, changed, action)
    assert torch.equal(before.log_prob, after.log_prob)
    assert torch.equal(before.entropy, after.entropy)
    assert not torch.isclose(before.values, after.values).any()


@any_config
def test_divergence_from_a_teacher(config: AgentConfig) -> None:
    agent, teacher = make_agent(config, seed=0), make_agent(config, seed=1)
    packed = games.random_calls(8, [6, 5, 4, 0])
    action, _ = act(agent, packed)
    same, far = judge(agent, packed, action, agent).kl, judge(agent, packed, action, teacher).kl
    assert same is not None
    assert far is not None
    torch.testing.assert_close(same, torch.zeros_like(same), atol=1e-5, rtol=0.0)
    assert (far > 0).all()
    far.sum().backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in agent.parameters())


@any_config
@pytest.mark.parametrize("plane_shape", [None, (8, 8), (5, 7)])
def test_without_entities_or_decisions_everything_is_finite(
    config: AgentConfig, plane_shape: tuple[int, int] | None
) -> None:
    space = games.call_space()
    agent = make_agent(config, games.call_game(space, plane_shape))
    observation = games.random_observation(9, [0, 3, 0], space, plane_shape)
    observation[ACTION_MASK][1] = 0
    for decides in (None, np.zeros(3, bool)):
        packed = pack_observation(observation, agent.spec, decides)
        action, _ = act(agent, packed)
        assert action.shape == (0 if decides is not None else 2, 9)
        output = judge(agent, packed, action, teacher=agent)
        assert output.kl is not None
        total = output.values.sum() + output.log_prob.sum() + output.entropy.sum() + output.kl.sum()
        agent.zero_grad()
        total.backward()
        assert torch.isfinite(total)
        assert all(p.grad is None or torch.isfinite(p.grad).all() for p in agent.parameters())


def test_observations_without_a_legal_function_ask_for_no_decision() -> None:
    spec = games.call_game()
    observation = games.random_observation(10, [6, 6, 2, 0])
    observation[ACTION_MASK][[1, 3]] = 0
    packed = pack_observation(observation, spec, np.array([True, True, False, True]))
    assert packed.decision_counts.tolist() == [1, 0, 0, 0]
    agent = make_agent(DUMMY, spec)
    action, _ = act(agent, packed)
    calls = environment_actions(packed, action.numpy(), spec)
    space = games.call_space()
    assert all(space.contains(call) for call in calls)
    np.testing.assert_array_equal(calls[1:], np.tile([0, 0, 0, 0, 0, 0, 6, 6, 6], (3, 1)))


@pytest.mark.parametrize("torso", get_args(EntityTorsoKind))
@pytest.mark.parametrize("size", ["dummy", "small", "full"])
def test_every_size_is_nearly_uniform_at_first(torso: Any, size: Any) -> None:
    torch.manual_seed(0)
    agent = Agent(games.call_game(), dataclasses.replace(AgentConfig.of_size(size), torso=torso))
    packed = games.random_calls(11, [6, 3, 0])
    action, log_prob = act(agent, packed)
    output = judge(agent, packed, action)
    torch.testing.assert_close(output.log_prob, log_prob, atol=1e-4, rtol=1e-4)
    assert torch.equal(output.values, torch.zeros_like(output.values))
    scan = torch.tensor([[4, 1, 0, 0, 0, 33, 6, 6, 6]]).expand(3, -1)
    legal = torch.from_numpy(packed.decision[ACTION_MASK].sum(1))
    uniform = -(legal * 4 * 64).float().log()
    torch.testing.assert_close(judge(agent, packed, scan).log_prob, uniform, atol=0.15, rtol=0.0)


@any_config
def test_every_parameter_gets_a_gradient(config: AgentConfig) -> None:
    agent = make_agent(config)
    packed = games.random_calls(12, [6] * 24)
    action, _ = act(agent, packed)
    assert set(action[:, 0].tolist()) == set(range(6))
    output = judge(agent, packed, action)
    (output.values.sum() + output.log_prob.sum() + output.entropy.sum()).backward()
    # In an episode's first step, the hidden state that these read is zero.
    without = {
        name
        for name, parameter in agent.named_parameters()
        if "hidden_gates" not in name and (parameter.grad is None or parameter.grad.abs().max() < 1e-6)
    }
    assert not without


def test_a_call_without_units_to_select_is_an_error_that_names_it() -> None:
    for config in (DUMMY, dataclasses.replace(DUMMY, selection="parallel")):
        agent = make_agent(config)
        observation = games.random_observation(13, [3, 3, 3])
        observation[ENTITY_CLASSES][2] = 0
        observation[ACTION_MASK][:2] = [1, 0, 0, 0, 0, 0]
        observation[ACTION_MASK][2] = [0, 1, 0, 0, 0, 0]
        with pytest.raises(ValueError, match="selected of decision 2 has no legal choice"):
            act(agent, pack_observation(observation, agent.spec))
