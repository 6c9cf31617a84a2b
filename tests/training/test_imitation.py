"""Behaviour cloning: its loss against plain loops, the core's state along streams, and that it learns real games."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agent import Agent, AgentConfig, AgentInput
from agent.interface import Part, UnrollOutput
from tests.agent import games
from tests.training.scripted_demonstrations import REWARD_TERMS, ScriptedDemonstrations
from training.demonstration_choice import ChosenGame, choose_games
from training.demonstration_streams import DemonstrationBatch, DemonstrationStreams
from training.demonstrations import Demonstrations
from training.imitation import ImitationLearner, ImitationTargets, Tally, imitation_loss, part_figures
from training.imitation_config import ImitationConfig
from training.learner_config import LearnerConfig
from training.record_command import RecordOptions, record

LENGTHS, WEIGHTS = (5, 9, 3, 7), (1.0, 0.0, 0.5, 2.0)


def streams(unroll_length: int = 4, lengths: tuple[int, ...] = LENGTHS, **changes: Any) -> DemonstrationStreams:
    chosen = [ChosenGame(index, WEIGHTS[index], length) for index, length in enumerate(lengths)]
    settings = {"num_streams": 2, "reward_weights": np.ones(2, np.float32), "discounts": (0.9,), **changes}
    return DemonstrationStreams(
        ScriptedDemonstrations(lengths),  # type: ignore[arg-type]
        chosen,
        unroll_length=unroll_length,
        **settings,
    )


def make_agent(core: str = "lstm", seed: int = 0) -> Agent:
    """Return an agent without any zero weight."""
    torch.manual_seed(seed)
    config = dataclasses.replace(AgentConfig.of_size("dummy"), core=core)  # type: ignore[arg-type]
    agent = Agent(games.unit_game(REWARD_TERMS), config)
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return agent


def learner_of(agent: Agent, **settings: Any) -> ImitationLearner:
    return ImitationLearner(agent, LearnerConfig(discounts=(0.9,), **settings), num_streams=2)


def test_loss_and_figures_are_those_of_plain_loops() -> None:
    agent, config = make_agent(), LearnerConfig(value_cost=0.25, huber_delta=1.5)
    for batch in iter(streams().next, None):
        inputs = AgentInput.from_packed(batch.observations)
        targets = ImitationTargets.from_batch(batch, inputs, agent.spec.action)
        state = agent.initial_state(len(batch.streams))
        with torch.no_grad():
            output = agent.unroll(inputs, state, targets.is_first, targets.action, with_parts=True)
            loss, figures = imitation_loss(output, targets, config, value_scale=2.0)
        length = batch.loss_mask.shape[1]
        places = [divmod(int(sample), length) for sample in inputs.decision_sample]
        weights = [float(batch.weights[place]) for place in places]
        log_probs = output.log_prob.tolist()
        policy = sum(-weight * value for weight, value in zip(weights, log_probs, strict=True)) / (sum(weights) or 1)
        errors = [
            abs(float(output.values[place][term] - batch.returns[place][term])) / 2.0
            for place in zip(*np.nonzero(batch.loss_mask), strict=True)
            for term in (0, 1)
        ]
        value = sum(0.5 * e * e if e <= 1.5 else 1.5 * (e - 0.75) for e in errors) / batch.num_steps
        assert float(loss) == pytest.approx(policy + 0.25 * value, rel=1e-4)
        tally = Tally()
        tally.add(figures)
        means = tally.take_means()
        assert means["value_loss"] == pytest.approx(value, rel=1e-4)
        counted = [index for index, weight in enumerate(weights) if weight]
        assert ("policy_loss" in means) is bool(counted)
        if not counted:
            continue
        assert means["policy_loss"] == pytest.approx(policy, rel=1e-4)
        for name, part in output.parts.items():
            read = [index for index in counted if part.read[index]]
            assert (f"accuracy/{name}" in means) is bool(read)
            if read:
                of_read = [weights[index] for index in read]
                right = np.average([float(part.likeliest[index]) for index in read], weights=of_read)
                entropy = -np.average([float(part.log_prob[index]) for index in read], weights=of_read)
                assert means[f"accuracy/{name}"] == pytest.approx(right)
                assert means[f"cross_entropy/{name}"] == pytest.approx(entropy, rel=1e-4)
        right = [all(p.likeliest[i] or not p.read[i] for p in output.parts.values()) for i in counted]
        assert means["accuracy"] == pytest.approx(np.average(right, weights=[weights[i] for i in counted]))
        orders = sum(weights[i] for i in counted if batch.observations.decision["action"][i, 0] != 0)
        assert float(figures["order_accuracy"][1]) == pytest.approx(orders)


@pytest.mark.parametrize("has_waits", [True, False])
def test_a_policy_that_only_waits_is_seen_in_its_orders(has_waits: bool) -> None:
    action = torch.tensor([[0, 0], [0, 0], [0, 0], [1, 2], [1, 1], [1, 0]])
    weights, orders = torch.tensor([1.0, 1.0, 4.0, 1.0, 3.0, 0.0]), action[:, 0] != 0
    kind = Part(torch.ones(6, dtype=torch.bool), torch.zeros(6), torch.tensor([True, True, True, True, False, True]))
    target = Part(orders, torch.zeros(6), torch.tensor([False, False, False, True, True, True]))
    output = UnrollOutput(torch.zeros(1, 1, 1), torch.zeros(6), torch.zeros(6), parts={"type": kind, "target": target})
    step = torch.zeros(1, 1, dtype=torch.bool)
    targets = ImitationTargets(step, step, torch.zeros(1, 1, 1), action, weights, orders if has_waits else None)
    tally = Tally()
    tally.add(part_figures(output, targets))
    means = tally.take_means()
    assert means["accuracy"] == pytest.approx(7 / 10)
    assert means.get("order_accuracy") == (pytest.approx(1 / 4) if has_waits else None)


def test_a_tally_weighs_batches_by_what_they_hold() -> None:
    tally = Tally()
    tally.add({"loss": (torch.tensor(6.0), torch.tensor(3)), "rare": (torch.tensor(0.0), torch.tensor(0))})
    tally.add({"loss": (torch.tensor(1.0), torch.tensor(1))})
    assert tally.take_means() == {"loss": 7 / 4}
    assert tally.take_means() == {}


@pytest.mark.parametrize("core", ["none", "lstm"])
def test_it_does_not_matter_where_games_are_cut(core: str) -> None:
    """Measured piece by piece, with the state carried on, games look as they do in one piece."""
    found = []
    for unroll_length in (1, 4, 100):
        cut = streams(unroll_length)
        found.append(learner_of(make_agent(core)).evaluate(iter(cut.next, None), cut.num_streams))
    assert found[0].keys() == found[1].keys() == found[2].keys()
    for name, value in found[0].items():
        assert value == pytest.approx(found[1][name], rel=1e-3, abs=1e-5), name
        assert value == pytest.approx(found[2][name], rel=1e-3, abs=1e-5), name


def test_the_state_is_carried_within_games_only() -> None:
    agent = make_agent()
    learner, source = learner_of(agent, learning_rate=1e-9), streams(lengths=(6, 9))
    first, second = source.next(), source.next()
    assert first is not None
    assert second is not None
    learner.update(first)
    carried = learner.core_states.clone()
    assert carried.abs().max() > 1e-2
    inputs = AgentInput.from_packed(first.observations)
    expected = agent.remember(inputs, agent.initial_state(2), torch.from_numpy(first.is_first), 4)
    torch.testing.assert_close(carried, expected, atol=1e-5, rtol=1e-4)
    fresh = learner_of(copy.deepcopy(agent), learning_rate=1e-9)
    losses = [float(updated.update(second)["policy_loss"][0]) for updated in (learner, fresh)]
    assert losses[0] != pytest.approx(losses[1], rel=1e-6)


def test_decisions_without_weight_teach_the_values_only() -> None:
    batch = streams(lengths=(5, 9)).next()
    assert batch is not None
    nothing = dataclasses.replace(batch, weights=np.zeros_like(batch.weights))
    agent = make_agent()
    head = {name for name, _ in agent.named_parameters() if name.startswith("action_head")}
    before = copy.deepcopy(agent.state_dict())
    learner_of(agent).update(nothing)
    after = agent.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in head)
    assert not torch.equal(after["value_weight"], before["value_weight"])


def test_resumed_learning_is_bit_equal() -> None:
    source = streams(lengths=(5, 9))
    batches = [source.next() for _ in range(3)]
    agent = make_agent()
    learner = learner_of(agent, normalise_values=True)
    learner.update(_real(batches[0]))
    saved = copy.deepcopy((agent.state_dict(), learner.state_dict()))
    resumed_agent = make_agent(seed=3)
    resumed = learner_of(resumed_agent, normalise_values=True)
    resumed_agent.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    for batch in batches[1:]:
        learner.update(_real(batch), 0.5)
        resumed.update(_real(batch), 0.5)
    assert resumed.num_updates == learner.num_updates == 3
    for name, value in agent.state_dict().items():
        assert torch.equal(value, resumed_agent.state_dict()[name]), name


def _real(batch: DemonstrationBatch | None) -> DemonstrationBatch:
    assert batch is not None
    return batch


def test_it_learns_real_games_by_heart_and_something_about_others(tmp_path: Path) -> None:
    options = RecordOptions(
        players=("CoacAI", "RandomBiasedAI"),
        output=tmp_path,
        map_path="maps/8x8/basesWorkers8x8A.xml",
        games=6,
        max_steps=200,
        workers=1,
    )
    record(options)
    recording = Demonstrations(tmp_path)
    choice = choose_games(recording.player_games, ImitationConfig(data="", players=("CoacAI",), held_out_share=0.3))
    terms = len(recording.manifest.reward_term_names)

    def games_of(chosen: tuple[ChosenGame, ...], passes: int = 1) -> DemonstrationStreams:
        how: dict[str, Any] = {"reward_weights": np.ones(terms, np.float32), "discounts": (0.99,), "seed": 0}
        return DemonstrationStreams(recording, chosen, num_streams=8, unroll_length=4, passes=passes, **how)

    torch.manual_seed(0)
    agent = Agent(recording.manifest.spec, AgentConfig.of_size("small"))
    config = LearnerConfig(learning_rate=3e-3, final_learning_rate=1e-4, max_grad_norm=5.0)
    learner = ImitationLearner(agent, config, num_streams=8)

    def measure(chosen: tuple[ChosenGame, ...]) -> dict[str, float]:
        return learner.evaluate(iter(games_of(chosen).next, None), 8)

    before, before_elsewhere = measure(choice.train), measure(choice.held_out)
    passes, steps = 60, 0
    for batch in iter(games_of(choice.train, passes).next, None):
        learner.update(batch, steps / (passes * choice.num_train_steps))
        steps += batch.num_steps
    assert steps == passes * choice.num_train_steps
    after, elsewhere = measure(choice.train), measure(choice.held_out)
    assert before["policy_loss"] > 1.0
    assert after["policy_loss"] < 0.1
    assert after["accuracy"] > 0.95
    assert after["value_loss"] < 0.25 * before["value_loss"]
    assert elsewhere["accuracy"] > before_elsewhere["accuracy"] + 0.2
    assert elsewhere["policy_loss"] < before_elsewhere["policy_loss"]
