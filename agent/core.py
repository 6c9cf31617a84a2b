"""Memory between steps."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class LSTMCore(nn.Module):
    """Stacked LSTM with layer-normalised gates, as AlphaStar's core (Vinyals et al. 2019; Ba et al. 2016, section 3.1).

    The state is one tensor [B, layers, 2, H] (hidden, cell); it is reset to zero wherever `is_first`.
    """

    def __init__(self, input_channels: int, channels: int, num_layers: int) -> None:
        super().__init__()
        self.channels, self.num_layers = channels, num_layers
        inputs = [input_channels] + [channels] * (num_layers - 1)
        self.input_gates = nn.ModuleList(nn.Linear(size, 4 * channels, bias=False) for size in inputs)
        self.hidden_gates = nn.ModuleList(nn.Linear(channels, 4 * channels, bias=False) for _ in inputs)
        self.norms = nn.ModuleList(nn.LayerNorm(4 * channels) for _ in inputs)

    def initial_state(self, batch_size: int) -> Float[Tensor, "B L 2 H"]:
        """Return the state before an episode."""
        device = next(self.parameters()).device
        return torch.zeros(batch_size, self.num_layers, 2, self.channels, device=device)

    def step(
        self, inputs: Float[Tensor, "B I"], state: Float[Tensor, "B L 2 H"], is_first: Bool[Tensor, " B"]
    ) -> tuple[Float[Tensor, "B H"], Float[Tensor, "B L 2 H"]]:
        """Return the output of one step and the state after it."""
        state = torch.where(is_first[:, None, None, None], 0.0, state)
        output, layers = inputs, []
        for index in range(self.num_layers):
            hidden, cell = state[:, index, 0], state[:, index, 1]
            gates = self.norms[index](self.input_gates[index](output) + self.hidden_gates[index](hidden))
            write, forget, read, candidate = gates.chunk(4, -1)
            # A forget gate biased open keeps early gradients alive (Jozefowicz et al. 2015).
            cell = torch.sigmoid(forget + 1) * cell + torch.sigmoid(write) * torch.tanh(candidate)
            output = torch.sigmoid(read) * torch.tanh(cell)
            layers.append(torch.stack([output, cell], 1))
        return output, torch.stack(layers, 1)

    def unroll(
        self, inputs: Float[Tensor, "B T I"], state: Float[Tensor, "B L 2 H"], is_first: Bool[Tensor, "B T"]
    ) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B L 2 H"]]:
        """Return the outputs of T steps from `state`, and the state after them."""
        outputs = []
        for t in range(inputs.shape[1]):
            output, state = self.step(inputs[:, t], state, is_first[:, t])
            outputs.append(output)
        return torch.stack(outputs, 1), state
