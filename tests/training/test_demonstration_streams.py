"""Streams of recorded games: every step once a pass, in its order, with what came of it."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
import torch

from envs.spaces import SCALARS
from tests.training.scripted_demonstrations import ScriptedDemonstrations
from training.demonstration_choice import ChosenGame
from training.demonstration_streams import DemonstrationBatch, DemonstrationStreams, returns_to_go
from training.returns import lambda_returns

LENGTHS = (5, 1, 9, 3, 7, 4)
WEIGHTS = (1.0, 0.0, 0.5, 1.0, 1.0, 2.0)
REWARD_WEIGHTS, DISCOUNTS = np.array([10.0, 0.5], np.float32), (0.9, 0.99)


def streams(lengths: tuple[int, ...] = LENGTHS, **changes: Any) -> DemonstrationStreams:
    settings = {
        "num_streams": 3,
        "unroll_length": 4,
        "reward_weights": REWARD_WEIGHTS,
        "discounts": DISCOUNTS,
        "passes": 2,
        "seed": 1,
    }
    chosen = [ChosenGame(index, WEIGHTS[index], length) for index, length in enumerate(lengths)]
    return DemonstrationStreams(ScriptedDemonstrations(lengths), chosen, **{**settings, **changes})  # type: ignore[arg-type]


def read(source: DemonstrationStreams) -> list[DemonstrationBatch]:
    return list(iter(source.next, None))


def steps_of(batches: list[DemonstrationBatch]) -> dict[int, list[tuple[int, int]]]:
    """Return (player game, step) of every row that counts, stream by stream in the order in which they came."""
    found = defaultdict(list)
    for batch in batches:
        rows = batch.observations.sample[SCALARS].reshape(*batch.loss_mask.shape, 3)
        for row, stream in enumerate(batch.streams.tolist()):
            found[stream] += [(int(game), int(step)) for game, step, _ in rows[row][batch.loss_mask[row]]]
    return found


def test_every_pass_reads_every_step_once_and_games_in_one_piece() -> None:
    found = steps_of(read(streams()))
    assert sorted(found) == [0, 1, 2]
    everything = [step for of_stream in found.values() for step in of_stream]
    assert sorted(everything) == sorted(
        2 * [(game, step) for game, length in enumerate(LENGTHS) for step in range(length)]
    )
    for of_stream in found.values():
        for (game, step), following in itertools.pairwise(of_stream):
            assert following == (game, step + 1) or (step == LENGTHS[game] - 1 and following[1] == 0)


def test_passes_come_in_orders_of_their_own() -> None:
    one_by_one = steps_of(read(streams(num_streams=1, passes=3)))[0]
    orders = np.reshape([game for game, step in one_by_one if step == 0], (3, -1)).tolist()
    assert all(sorted(order) == list(range(len(LENGTHS))) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    unshuffled = steps_of(read(streams(num_streams=1, passes=1, seed=None)))[0]
    assert [game for game, step in unshuffled if step == 0] == list(range(len(LENGTHS)))


def test_rows_say_what_their_step_is_and_what_came_of_it() -> None:
    expected = {}
    for game, length in enumerate(LENGTHS):
        for term, gamma in enumerate(DISCOUNTS):
            following = 0.0
            for step in reversed(range(length)):
                following = REWARD_WEIGHTS[term] * (1.0, step)[term] + gamma ** (step + 1) * following
                expected[game, step, term] = following
    for batch in read(streams()):
        rows = batch.observations.sample[SCALARS].reshape(*batch.loss_mask.shape, 3).astype(int)
        for place in zip(*np.nonzero(batch.loss_mask), strict=True):
            game, step, _ = rows[place]
            assert batch.is_first[place] == (step == 0)
            assert batch.weights[place] == WEIGHTS[game]
            np.testing.assert_allclose(batch.returns[place], [expected[game, step, term] for term in (0, 1)], rtol=1e-5)
        assert batch.num_steps == batch.loss_mask.sum()


def test_missing_rows_hold_nothing() -> None:
    batches = read(streams())
    padded = [batch for batch in batches if not batch.loss_mask.all()]
    assert padded
    for batch in padded:
        missing = ~batch.loss_mask.reshape(-1)
        for counts in (batch.observations.entity_counts, batch.observations.decision_counts):
            assert not counts[missing].any()
        assert not batch.is_first.reshape(-1)[missing].any()
        assert (np.diff(batch.loss_mask.astype(int), axis=1) <= 0).all()
    assert len(batches[-1].streams) < 3
    assert all(len(batch.observations) == batch.loss_mask.size for batch in batches)


def test_a_share_of_the_waits_is_read_and_counts_for_all() -> None:
    """At steps 1, 6, 11, ... somebody acts, unless nobody decides."""
    lengths, share = (400, 300), 0.2
    settings = {"num_streams": 1, "passes": 2, "seed": 3, "wait_share": share, "wait_weight": 0.5}
    batches = read(streams(lengths, **settings))
    found = steps_of(batches)[0]
    acting = {(game, step) for game, length in enumerate(lengths) for step in range(1, length, 5) if step % 3}
    assert sum(place in acting for place in found) == 2 * len(acting)
    waits = [place for place in found if place not in acting]
    assert 0.15 < len(waits) / (2 * (sum(lengths) - len(acting))) < 0.25
    assert {(game, step) for game, step in waits if step == 0} == {(0, 0), (1, 0)}
    assert len(set(waits)) > 1.5 * len(waits) / 2  # drawn anew
    assert sum(batch.num_steps for batch in batches) == 2 * sum(lengths)
    for batch in batches:
        rows = batch.observations.sample[SCALARS].reshape(*batch.loss_mask.shape, 3).astype(int)
        for place in zip(*np.nonzero(batch.loss_mask), strict=True):
            game, step, _ = rows[place]
            weight = WEIGHTS[game] if (game, step) in acting else 0.5 * WEIGHTS[game]
            if (game, step) not in acting and step > 0:  # first steps are always read
                weight /= share
            assert batch.weights[place] == pytest.approx(weight)
            assert batch.is_first[place] == (step == 0)


@pytest.mark.parametrize("wait_share", [1.0, 0.5])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_streams_go_on_where_they_were(after: int, wait_share: float) -> None:
    source = streams(wait_share=wait_share)
    for _ in range(after):
        source.next()
    state, resumed = source.state_dict(), streams(wait_share=wait_share)
    resumed.load_state_dict(state)
    first, second = read(source), read(resumed)
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        for name in ("streams", "is_first", "returns", "weights", "loss_mask"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        np.testing.assert_array_equal(one.observations.sample[SCALARS], other.observations.sample[SCALARS])
        np.testing.assert_array_equal(one.observations.decision["action"], other.observations.decision["action"])


def test_streams_do_not_go_on_among_other_steps() -> None:
    state = streams(seed=1).state_dict()
    for changes in ({"seed": 2}, {"seed": 1, "wait_share": 0.5}):
        with pytest.raises(ValueError, match=r"seed and share of waits \[1, 1\.0\], expected"):
            streams(**changes).load_state_dict(state)
    with pytest.raises(ValueError, match=r"waits counted 1\.0, expected 0\.5"):
        streams(seed=1, wait_weight=0.5).load_state_dict(state)
    with pytest.raises(ValueError, match="3 games were read side by side, expected 2"):
        streams(seed=1, num_streams=2).load_state_dict(state)


def test_there_are_no_more_streams_than_games() -> None:
    few = streams((3, 4), num_streams=5)
    assert few.num_streams == 2
    assert few.next().streams.tolist() == [0, 1]  # type: ignore[union-attr]


def test_returns_to_go_are_lambda_returns_with_nothing_after_them() -> None:
    generator = np.random.default_rng(0)
    rewards, discounts = generator.normal(size=(7, 2)), generator.uniform(size=(7, 2))
    tensors = [torch.from_numpy(array)[:, None] for array in (rewards, discounts, np.zeros((7, 2)))]
    expected = lambda_returns(*tensors, torch.ones(7, 1, dtype=torch.bool))
    np.testing.assert_allclose(returns_to_go(rewards, discounts), expected[:, 0].numpy(), rtol=1e-6)
