"""The LSTM core: unrolled equals stepped, and an episode's start forgets."""

import torch
from torch import Tensor, nn

from agent.core import LSTMCore

BATCH, LENGTH, INPUTS, HIDDEN = 3, 6, 5, 4


def make_core(num_layers: int = 2) -> LSTMCore:
    torch.manual_seed(0)
    return LSTMCore(INPUTS, HIDDEN, num_layers)


def random_sequence(seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    is_first = torch.zeros(BATCH, LENGTH, dtype=torch.bool)
    is_first[0, 3] = is_first[1, 0] = is_first[1, 4] = True
    return torch.randn(BATCH, LENGTH, INPUTS), torch.randn(BATCH, 2, 2, HIDDEN), is_first


def test_unroll_equals_steps() -> None:
    core = make_core()
    inputs, state, is_first = random_sequence()
    unrolled, last = core.unroll(inputs, state, is_first)
    for t in range(LENGTH):
        output, state = core.step(inputs[:, t], state, is_first[:, t])
        assert torch.equal(output, unrolled[:, t])
    assert torch.equal(state, last)


def test_nothing_before_an_episodes_start_matters() -> None:
    core = make_core()
    inputs, state, is_first = random_sequence()
    outputs, _ = core.unroll(inputs, state, is_first)
    changed, _ = core.unroll(torch.cat([inputs[:, :3] + 1, inputs[:, 3:]], 1), state - 1, is_first)
    torch.testing.assert_close(changed[0, 3:], outputs[0, 3:])
    assert not torch.allclose(changed[2, 3:], outputs[2, 3:])
    fresh, _ = core.unroll(inputs[:1, 3:], core.initial_state(1), torch.zeros(1, 3, dtype=torch.bool))
    torch.testing.assert_close(fresh[0], outputs[0, 3:])


def test_a_nan_in_the_state_before_an_episode_is_forgotten() -> None:
    core = make_core()
    inputs, state, _ = random_sequence()
    first = torch.ones(BATCH, dtype=torch.bool)
    output, after = core.step(inputs[:, 0], torch.full_like(state, float("nan")), first)
    assert torch.isfinite(output).all()
    assert torch.isfinite(after).all()


def test_one_step_is_the_lstm_equations() -> None:
    core = make_core(num_layers=1)
    inputs, state, _ = random_sequence()
    state = state[:, :1]
    output, after = core.step(inputs[:, 0], state, torch.zeros(BATCH, dtype=torch.bool))
    norm = core.norms[0]
    assert isinstance(norm, nn.LayerNorm)
    hidden, cell = state[:, 0, 0], state[:, 0, 1]
    gates = norm(inputs[:, 0] @ core.input_gates[0].weight.T + hidden @ core.hidden_gates[0].weight.T)
    write, forget, read, candidate = gates.split(HIDDEN, -1)
    new_cell = cell * torch.sigmoid(forget + 1) + torch.sigmoid(write) * torch.tanh(candidate)
    torch.testing.assert_close(after[:, 0, 1], new_cell)
    torch.testing.assert_close(output, torch.sigmoid(read) * torch.tanh(new_cell))
    torch.testing.assert_close(after[:, 0, 0], output)
    assert core.initial_state(2).shape == (2, 1, 2, HIDDEN)
