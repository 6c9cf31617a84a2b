"""The learner's loss against plain loops, what it must not read, exact resume, and that it learns."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from agent import Agent, AgentConfig, AgentInput, AgentSpec, UnrollOutput
from envs.spaces import SCALARS
from tests.training.scripted import CountingEnvironment, UnitEnvironment
from training.learner import Learner
from training.learner_config import LearnerConfig
from training.objective import Batch, loss_and_metrics
from training.rollout import BatchedEnvironment, Rollout
from training.trajectory import Trajectory, concatenate, select_sequences

CPU = torch.device("cpu")
TERMINATES = (True, False, True)


def make_agent(environment: BatchedEnvironment, seed: int = 0, config: AgentConfig | None = None) -> Agent:
    """Return an agent without any zero weight."""
    torch.manual_seed(seed)
    spec = AgentSpec.from_spaces(
        environment.single_observation_space, environment.single_action_space, environment.reward_term_names
    )
    agent = Agent(spec, config or AgentConfig.of_size("dummy"))
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return agent


def unit_experience(seed: int = 0, unrolls: int = 1) -> tuple[Agent, list[Trajectory]]:
    """Return unrolls of 3 rows, 6 steps, with terminated and truncated episodes, and another agent to learn."""
    environment = UnitEnvironment((2, 3, 99), TERMINATES, free_choice=True)
    rollout = Rollout(environment, make_agent(environment, seed), unroll_length=6, seed=seed)
    trajectories = [rollout.collect()[0] for _ in range(unrolls)]
    return make_agent(environment, seed + 1), trajectories


def unroll(agent: Agent, trajectory: Trajectory, config: LearnerConfig) -> tuple[UnrollOutput, AgentInput, Batch]:
    inputs = AgentInput.from_packed(trajectory.observations)
    batch = Batch.from_trajectory(trajectory, config, CPU)
    return agent.unroll(inputs, batch.initial_state, batch.is_first, batch.action), inputs, batch


class NaiveLoss:
    """The loss, written as loops over sequences, rows, reward terms and decisions."""

    def __init__(self, trajectory: Trajectory, output: UnrollOutput, config: LearnerConfig) -> None:
        self.trajectory, self.config = trajectory, config
        self.values = output.values.detach().tolist()
        decisions = trajectory.observations.decision
        counts = trajectory.observations.decision_counts
        owner = [divmod(row, trajectory.unroll_length + 1) for row, count in enumerate(counts) for _ in range(count)]
        log_probs = output.log_prob.detach().tolist()
        self.log_ratios: dict[tuple[int, int], list[float]] = {}
        for index, key in enumerate(owner):
            log_ratio = log_probs[index] - float(decisions["behaviour_log_prob"][index])
            self.log_ratios.setdefault(key, []).append(log_ratio)
        self.entropy = float(output.entropy.detach().mean())
        self.num_decisions = len(owner)

    def discount(self, b: int, t: int, k: int) -> float:
        if self.trajectory.terminated[b, t]:
            return 0.0
        discounts = self.config.discounts
        gamma = discounts[k] if len(discounts) > 1 else discounts[0]
        return float(gamma ** int(self.trajectory.elapsed_steps[b, t]))

    def trace_decay(self, k: int) -> float:
        decays = self.config.trace_decays
        return decays[k] if len(decays) > 1 else decays[0]

    def ratio(self, b: int, t: int) -> float:
        return math.exp(sum(self.log_ratios.get((b, t), [])))

    def continues(self, b: int, t: int) -> bool:
        trajectory = self.trajectory
        return bool(trajectory.loss_mask[b, t]) and not (trajectory.terminated[b, t] or trajectory.truncated[b, t])

    def target(self, b: int, start: int, k: int) -> float:
        """Return V-trace's target, summing until the episode or the unroll ends."""
        total, product = self.values[b][start][k], 1.0
        for t in range(start, self.trajectory.unroll_length):
            rho = min(self.config.rho_clip, self.ratio(b, t))
            total += product * rho * self.error(b, t, k)
            if not self.continues(b, t):
                break
            product *= self.discount(b, t, k) * self.trace_decay(k) * min(self.config.c_clip, self.ratio(b, t))
        return total

    def error(self, b: int, t: int, k: int) -> float:
        reward = float(self.trajectory.rewards[b, t, k])
        return reward + self.discount(b, t, k) * self.values[b][t + 1][k] - self.values[b][t][k]

    def advantage(self, b: int, t: int) -> float:
        total = 0.0
        for k in range(self.trajectory.rewards.shape[-1]):
            bonus = 0.0
            if self.continues(b, t) and t + 1 < self.trajectory.unroll_length:
                bonus = self.trace_decay(k) * (self.target(b, t + 1, k) - self.values[b][t + 1][k])
            rho = min(self.config.rho_clip, self.ratio(b, t)) if self.config.rho_weighted_advantages else 1.0
            total += rho * (self.error(b, t, k) + self.discount(b, t, k) * bonus)
        return total

    def real_rows(self) -> list[tuple[int, int]]:
        mask = self.trajectory.loss_mask
        return [(b, t) for b in range(mask.shape[0]) for t in range(mask.shape[1]) if mask[b, t]]

    def parts(self) -> dict[str, float]:
        config, rows = self.config, self.real_rows()
        advantages = {row: self.advantage(*row) for row in rows}
        if config.normalise_advantages:
            mean, std = np.mean(list(advantages.values())), np.std(list(advantages.values()))
            targets = [sum(self.target(b, t, k) for k in range(self.trajectory.rewards.shape[-1])) for b, t in rows]
            std = max(std, config.advantage_floor * np.sqrt(np.mean(np.square(targets))))
            advantages = {row: float((advantage - mean) / std) for row, advantage in advantages.items()}
        policy_loss = 0.0
        for row, log_ratios in self.log_ratios.items():
            for log_ratio in log_ratios:
                ratio = math.exp(log_ratio)
                clipped = min(max(ratio, 1 - config.clip_epsilon), 1 + config.clip_epsilon)
                policy_loss -= min(ratio * advantages[row], clipped * advantages[row]) / self.num_decisions
        value_loss = 0.0
        for b, t in rows:
            for k in range(self.trajectory.rewards.shape[-1]):
                error = abs(self.values[b][t][k] - self.target(b, t, k))
                quadratic = config.huber_delta is None or error <= config.huber_delta
                delta = config.huber_delta or 0.0
                value_loss += (0.5 * error**2 if quadratic else delta * (error - 0.5 * delta)) / len(rows)
        total = policy_loss + config.value_cost * value_loss - config.entropy_cost * self.entropy
        return {
            "losses/policy_loss": policy_loss,
            "losses/value_loss": value_loss,
            "losses/entropy": self.entropy,
            "total": total,
        }


@pytest.mark.parametrize(
    "config",
    [
        LearnerConfig(discounts=(0.9, 0.7)),
        LearnerConfig(discounts=(0.99,), huber_delta=None, normalise_advantages=False, trace_decay=0.5, rho_clip=0.8),
        LearnerConfig(rho_weighted_advantages=False, rho_clip=0.8),
        LearnerConfig(advantage_floor=10.0),
        LearnerConfig(discounts=(0.9, 0.7), trace_decay=(0.2, 1.0)),
    ],
    ids=["normalised", "plain", "without rho", "floor", "decays"],
)
def test_loss_is_that_of_plain_loops(config: LearnerConfig) -> None:
    agent, (_, trajectory) = unit_experience(unrolls=2)
    assert trajectory.terminated.any()
    assert trajectory.truncated.any()
    output, inputs, batch = unroll(agent, trajectory, config)
    total, metrics = loss_and_metrics(output, inputs, batch, config)
    expected = NaiveLoss(trajectory, output, config).parts()
    got = {name: float(value) for name, value in {**metrics, "total": total.detach()}.items()}
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, rel=2e-4, abs=1e-5), name


def test_value_errors_are_measured_in_units_of_the_value_scale() -> None:
    config = LearnerConfig(huber_delta=None)
    agent, (trajectory,) = unit_experience()
    output, inputs, batch = unroll(agent, trajectory, config)
    _, plain = loss_and_metrics(output, inputs, batch, config)
    _, scaled = loss_and_metrics(output, inputs, batch, config, value_scale=4.0)
    assert float(scaled.pop("losses/value_loss")) == pytest.approx(float(plain.pop("losses/value_loss")) / 16)
    assert scaled == plain


def test_schedules_are_linear_in_the_share_of_training_that_is_done() -> None:
    config = LearnerConfig(
        learning_rate=4.0,
        final_learning_rate=2.0,
        entropy_cost=1.0,
        final_entropy_cost=0.0,
        final_term_weights=(1.0, 0.2),
    )
    for progress, expected in (
        (0.0, (4.0, 1.0, (1.0, 1.0))),
        (0.5, (3.0, 0.5, (1.0, 0.6))),
        (1.0, (2.0, 0.0, (1.0, 0.2))),
    ):
        got = config.learning_rate_at(progress), config.entropy_cost_at(progress), config.term_weights_at(progress)
        assert got[:2] == pytest.approx(expected[:2])
        assert got[2] == pytest.approx(expected[2])
    assert LearnerConfig(entropy_cost=0.3).entropy_cost_at(1.0) == 0.3
    config = LearnerConfig(term_weights=(1.0, 0.2), final_term_weights=(0.0,))
    assert config.term_weights_at(0.0) == (1.0, 0.2)
    assert config.term_weights_at(0.5) == pytest.approx((0.5, 0.1))
    with pytest.raises(ValueError, match=r"as many term_weights as final_term_weights, .* got \(1.0, 0.2\)"):
        LearnerConfig(term_weights=(1.0, 0.2), final_term_weights=(1.0, 0.1, 0.1))


def test_a_term_that_counts_for_nothing_moves_the_values_but_not_the_policy() -> None:
    agent, (trajectory,) = unit_experience()
    assert trajectory.rewards.shape[-1] == 2
    config = LearnerConfig(final_term_weights=(1.0, 0.0), value_cost=0.0, normalise_advantages=False)
    output, inputs, batch = unroll(agent, trajectory, config)
    changed = dataclasses.replace(batch, rewards=batch.rewards + torch.tensor([0.0, 5.0]))
    for progress, same in ((1.0, True), (0.0, False)):
        results = [loss_and_metrics(output, inputs, part, config, progress=progress)[1] for part in (batch, changed)]
        policy, value = ([result[f"losses/{name}_loss"] for result in results] for name in ("policy", "value"))
        assert torch.allclose(*policy) is same
        assert not torch.allclose(*value)


@pytest.mark.parametrize("normalise", [True, False])
def test_the_value_scale_follows_the_targets_where_asked_and_returns_with_the_state(normalise: bool) -> None:
    agent, trajectories = unit_experience()
    config = LearnerConfig(normalise_values=normalise, num_minibatches=1, num_epochs=1)
    learner = Learner(agent, config)
    metrics = learner.update(trajectories)
    expected = max(metrics["losses/value_target_spread"], 0.1) if normalise else 1.0
    assert learner.value_scale.current == pytest.approx(expected)
    resumed = Learner(copy.deepcopy(agent), config)
    resumed.load_state_dict(copy.deepcopy(learner.state_dict()))
    assert resumed.value_scale == learner.value_scale
    assert resumed.update(trajectories) == learner.update(trajectories)


def test_adams_epsilon_is_that_of_the_config_after_a_resume_too() -> None:
    agent, _ = unit_experience()
    state = copy.deepcopy(Learner(agent, LearnerConfig(adam_epsilon=1e-5)).state_dict())
    resumed = Learner(agent, LearnerConfig(adam_epsilon=1e-3))
    resumed.load_state_dict(state)
    assert {group["eps"] for group in resumed.optimiser.param_groups} == {1e-3}


def advantages_of(values: Tensor, trajectory: Trajectory, config: LearnerConfig) -> Tensor:
    """Return the advantage that each decision's log-probability is pushed by: minus the gradient of the policy loss."""
    behaviour = torch.from_numpy(trajectory.observations.decision["behaviour_log_prob"])
    log_prob = behaviour.clone().requires_grad_()
    output = UnrollOutput(values=values, log_prob=log_prob, entropy=torch.zeros_like(behaviour))
    inputs = AgentInput.from_packed(trajectory.observations)
    loss, _ = loss_and_metrics(output, inputs, Batch.from_trajectory(trajectory, config, CPU), config)
    (gradient,) = torch.autograd.grad(loss, log_prob)
    return -gradient * len(log_prob)


@pytest.mark.parametrize("terminates", [True, False])
def test_a_truncated_episode_goes_on_with_its_final_observations_value(terminates: bool) -> None:
    """The episode ends at row 1; row 2 is its final observation and row 3 begins the next one."""
    environment = CountingEnvironment((2,), (terminates,))
    rollout = Rollout(environment, make_agent(environment), unroll_length=4, seed=0)
    trajectory, _ = rollout.collect()
    assert trajectory.loss_mask.tolist() == [[True, True, False, True]]
    config = LearnerConfig(
        policy_loss="policy_gradient",
        num_epochs=1,
        discounts=(0.5,),
        trace_decay=1.0,
        normalise_advantages=False,
        value_cost=0.0,
    )
    values = torch.zeros(1, 5, 2)
    values[0, 2] = torch.tensor([8.0, 16.0])
    # Rewards are 1 + 5 a step; steps cover 1 and 2 game steps, so discounts are 0.5 and 0.25.
    bootstrap = 0.0 if terminates else 0.25 * (8 + 16)
    last = 6 + bootstrap
    expected = torch.tensor([6 + 0.5 * last, last])
    advantages = advantages_of(values, trajectory, config)
    torch.testing.assert_close(advantages[:2], expected)
    values[0, 3:] = 1e6
    torch.testing.assert_close(advantages_of(values, trajectory, config)[:2], expected)
    values[0, 3:] = float("nan")
    torch.testing.assert_close(advantages_of(values, trajectory, config)[:2], expected)
    if terminates:
        values[0, 2] = 1e6
        torch.testing.assert_close(advantages_of(values, trajectory, config)[:2], expected)


def test_the_unrolls_last_row_goes_on_with_the_bootstrap_value() -> None:
    environment = CountingEnvironment((99,), (True,))
    trajectory, _ = Rollout(environment, make_agent(environment), unroll_length=2, seed=0).collect()
    config = LearnerConfig(
        policy_loss="policy_gradient", num_epochs=1, discounts=(0.5,), normalise_advantages=False, trace_decay=0.0
    )
    values = torch.zeros(1, 3, 2)
    values[0, 2] = torch.tensor([8.0, 16.0])
    torch.testing.assert_close(advantages_of(values, trajectory, config), torch.tensor([6.0, 6 + 0.25 * 24]))


def test_upgo_follows_what_did_better_than_expected() -> None:
    """Two reward terms of 1 and 5 a step; each is followed or not by its own value function."""
    environment = CountingEnvironment((99,), (True,))
    trajectory, _ = Rollout(environment, make_agent(environment), unroll_length=3, seed=0).collect()
    config = LearnerConfig(
        policy_loss="policy_gradient", num_epochs=1, discounts=(0.5,), normalise_advantages=False, value_cost=0.0
    )
    values = torch.zeros(1, 4, 2)
    values[0, 1, 0], values[0, 2, 1] = 4.0, 100.0
    # Discounts are 0.5, 0.25 and 0.125. First term: row 1 gives 1 where 4 was expected, so row 0 takes the 4; row 1
    # follows row 2. Second term: row 2 gives 5 where 100 was expected, so row 1 takes the 100, and row 0 follows it.
    first = torch.tensor([1 + 0.5 * 4, 1 + 0.25 * 1, 1])
    second = torch.tensor([5 + 0.5 * (5 + 0.25 * 100), 5 + 0.25 * 100, 5])
    upgo = first + second - torch.tensor([0.0, 4.0, 100.0])
    with_upgo = advantages_of(values, trajectory, dataclasses.replace(config, upgo_cost=1.0))
    torch.testing.assert_close(with_upgo - advantages_of(values, trajectory, config), upgo)


def test_every_parameter_learns() -> None:
    agent, trajectories = unit_experience()
    before = copy.deepcopy(agent.state_dict())
    Learner(agent, LearnerConfig(num_epochs=1, num_minibatches=1)).update(trajectories)
    without = [
        name
        for name, parameter in agent.named_parameters()
        if parameter.grad is None or parameter.grad.abs().max() < 1e-7
    ]
    assert without == []
    for name, value in agent.state_dict().items():
        assert not torch.equal(value, before[name]), name


def test_resumed_learning_is_bit_equal() -> None:
    agent, trajectories = unit_experience(unrolls=2)
    config = LearnerConfig(num_epochs=2, num_minibatches=2)
    learner = Learner(agent, config, seed=3)
    learner.update(trajectories, 0.1)
    saved = copy.deepcopy((agent.state_dict(), learner.state_dict()))
    expected = learner.update(trajectories, 0.2)

    resumed_agent, _ = unit_experience(seed=5)
    resumed = Learner(resumed_agent, config, seed=99)
    resumed_agent.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    assert resumed.update(trajectories, 0.2) == expected
    assert resumed.num_updates == learner.num_updates == 2
    for name, value in agent.state_dict().items():
        assert torch.equal(value, resumed_agent.state_dict()[name]), name


def test_a_gradient_that_is_not_finite_stops_and_changes_nothing() -> None:
    agent, (trajectory,) = unit_experience()
    learner = Learner(agent, LearnerConfig(num_epochs=1, num_minibatches=1))
    learner.update([trajectory])
    before = copy.deepcopy(agent.state_dict())
    trajectory.rewards[0, 0, 0] = np.nan
    with pytest.raises(FloatingPointError, match=r"not finite at update 1: .*losses/value_loss.*nan"):
        learner.update([dataclasses.replace(trajectory)])
    for name, value in agent.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert learner.num_updates == 1


def test_sequences_of_several_trajectories_are_pooled() -> None:
    agent, trajectories = unit_experience(unrolls=3)
    joined = concatenate(trajectories)
    picked, expected = select_sequences(trajectories, np.array([7, 0, 4])), joined.select(np.array([0, 4, 7]))
    np.testing.assert_array_equal(picked.rewards, expected.rewards)
    np.testing.assert_array_equal(picked.observations.decision["action"], expected.observations.decision["action"])
    config = LearnerConfig(num_epochs=1, num_minibatches=1)
    other = copy.deepcopy(agent)
    separate, together = Learner(agent, config).update(trajectories), Learner(other, config).update([joined])
    assert separate == pytest.approx(together, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("num_epochs", "num_minibatches", "steps"), [(1, 1, 1), (2, 3, 6), (1, 99, 3)])
def test_number_of_optimiser_steps(num_epochs: int, num_minibatches: int, steps: int) -> None:
    agent, trajectories = unit_experience()
    learner = Learner(agent, LearnerConfig(num_epochs=num_epochs, num_minibatches=num_minibatches))
    learner.update(trajectories)
    state: dict[str, Any] = next(iter(learner.optimiser.state.values()))
    assert state["step"] == steps


def test_learning_rate_falls_linearly() -> None:
    agent, trajectories = unit_experience()
    learner = Learner(agent, LearnerConfig(learning_rate=1e-3, final_learning_rate=2e-4))
    for progress, expected in ((0.0, 1e-3), (0.25, 8e-4), (1.0, 2e-4)):
        assert learner.update(trajectories, progress)["charts/learning_rate"] == pytest.approx(expected)
        assert learner.optimiser.param_groups[0]["lr"] == pytest.approx(expected)


def test_teacher_holds_the_policy() -> None:
    agent, trajectories = unit_experience()
    teacher, _ = unit_experience(seed=7)
    config = LearnerConfig(num_epochs=1, num_minibatches=1, teacher_kl_cost=10.0, learning_rate=1e-2)
    weights = copy.deepcopy(teacher.state_dict())
    learner = Learner(agent, config, teacher=teacher)
    divergences = [learner.update(trajectories)["losses/teacher_kl"] for _ in range(6)]
    assert divergences[-1] < 0.7 * divergences[0]
    assert all(torch.equal(value, weights[name]) for name, value in teacher.state_dict().items())


def test_the_teachers_hold_loosens_with_the_training() -> None:
    agent, (trajectory,) = unit_experience()
    teacher, _ = unit_experience(seed=7)
    inputs = AgentInput.from_packed(trajectory.observations)
    config = LearnerConfig(teacher_kl_cost=3.0, final_teacher_kl_cost=1.0)
    batch = Batch.from_trajectory(trajectory, config, CPU)
    output = agent.unroll(inputs, batch.initial_state, batch.is_first, batch.action, teacher=teacher)
    losses = [loss_and_metrics(output, inputs, batch, config, progress=progress)[0] for progress in (0.0, 0.5, 1.0)]
    assert output.kl is not None
    for earlier, later in itertools.pairwise(losses):
        torch.testing.assert_close(earlier - later, output.kl.mean(), rtol=1e-4, atol=1e-6)
    assert Learner(agent, LearnerConfig(), teacher=teacher).teacher is None
    with pytest.raises(ValueError, match="there is no teacher"):
        Learner(agent, LearnerConfig(final_teacher_kl_cost=1.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_epochs": 0}, "num_epochs must be at least 1, got 0"),
        ({"discounts": (0.9, 1.1)}, r"discounts must lie in \[0, 1\]"),
        ({"trace_decay": (0.9, 1.1)}, r"trace_decay must lie in \[0, 1\]"),
        ({"trace_decay": ()}, "trace_decay need at least one value"),
        ({"policy_loss": "policy_gradient"}, "use num_epochs=1"),
    ],
)
def test_settings_that_cannot_be_are_errors(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LearnerConfig(**change)


def test_settings_that_do_not_fit_the_agent_are_errors() -> None:
    agent, _ = unit_experience()
    with pytest.raises(ValueError, match="expected 1 or 2 discounts"):
        Learner(agent, LearnerConfig(discounts=(0.9, 0.9, 0.9)))
    with pytest.raises(ValueError, match="expected 1 or 2 trace_decay"):
        Learner(agent, LearnerConfig(trace_decay=(0.9, 0.9, 0.9)))
    with pytest.raises(ValueError, match="there is no teacher"):
        Learner(agent, LearnerConfig(teacher_kl_cost=1.0))


class CueEnvironment(CountingEnvironment):
    """Rewards 1 for the action that the scalars name; with `delay`, they name it in an episode's first step only.

    Episodes have `delay + 1` steps and only the last is rewarded; rows are truncated, so that values matter too.
    """

    reward_term_names = ("reward",)  # type: ignore[assignment]

    def __init__(self, num_envs: int, delay: int = 0) -> None:
        super().__init__((delay + 1,) * num_envs, (False,) * num_envs)
        self._generator = np.random.default_rng(0)
        self._cue = np.zeros(num_envs, int)
        self.reward_weights = np.ones(1, np.float32)
        self._delay = delay

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        rows = np.ones(self.num_envs, bool) if options is None else options["reset_mask"]
        self._cue = np.where(rows, self._generator.integers(0, 3, self.num_envs), self._cue)
        return super().reset(seed=seed, options=options)

    def step(self, actions: NDArray[Any]) -> tuple[Any, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        paid = ~self._ended & (self._step == self._delay) & (actions == self._cue)
        observation, _, terminated, truncated, infos = super().step(actions)
        infos["reward_terms"] = paid[:, None].astype(np.float32)
        return observation, paid.astype(np.float32), terminated, truncated, infos

    def _observe(self) -> dict[str, NDArray[Any]]:
        self._arrays[SCALARS][:] = np.eye(3)[self._cue] * (self._step == 0)[:, None]
        return self._arrays


@pytest.mark.parametrize(
    ("core", "delay", "num_minibatches", "threshold"), [("none", 0, 1, 0.85), ("lstm", 1, 2, 0.46)]
)
def test_it_learns(core: Any, delay: int, num_minibatches: int, threshold: float) -> None:
    """A cue of three is answered, from one third right at the start; with a delay, only memory beats one third."""
    environment = CueEnvironment(64, delay)
    environment.single_action_space = spaces.Discrete(3)
    agent = make_agent(environment, config=dataclasses.replace(AgentConfig.of_size("dummy"), core=core))
    rollout = Rollout(environment, agent, unroll_length=2 * (delay + 2), seed=0)
    config = LearnerConfig(
        learning_rate=2e-2 / num_minibatches, num_epochs=4, num_minibatches=num_minibatches, discounts=(0.9,)
    )
    learner = Learner(agent, config)
    success = []
    for update in range(11):
        trajectory, _ = rollout.collect()
        success.append(float(trajectory.rewards.sum() / trajectory.truncated.sum()))
        learner.update([trajectory], update / 10)
    assert success[0] < 0.43
    assert success[-1] > threshold
