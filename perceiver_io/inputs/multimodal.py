"""Several modalities at once -> one list of tokens."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from perceiver_io.attention import truncated_normal_parameter
from perceiver_io.inputs.adapter import InputAdapter


class MultimodalInputs(InputAdapter):
    """The tokens of all modalities, one after another (Jaegle et al. 2022, section 4.3 and appendix A).

    The tokens of each are filled up to common channels with a trained vector of that modality, which tells them apart.
    A modality can be hidden: a trained token then stands in for each of its tokens.

    Args:
        adapters: the adapter of each modality, in the order of their tokens.
        min_padding: channels of the trained vector of the widest modality.
        mask_probabilities: how often a modality of a training example is hidden; 1 hides it always, in evaluation too.
            Modalities without an entry are hidden only where they are not given.
        init_scale: standard deviation of the trained vectors at the start.

    Raises:
        ValueError: if a probability names no modality or is none.
    """

    def __init__(
        self,
        adapters: Mapping[str, InputAdapter],
        *,
        min_padding: int = 4,
        mask_probabilities: Mapping[str, float] | None = None,
        init_scale: float = 0.02,
    ) -> None:
        super().__init__()
        self.mask_probabilities = dict(mask_probabilities or {})
        for name, probability in self.mask_probabilities.items():
            if name not in adapters or not 0.0 <= probability <= 1.0:
                raise ValueError(
                    f"mask_probabilities: expected numbers from 0 to 1 for {sorted(adapters)}, got {name!r}: "
                    f"{probability}"
                )
        self.adapters = nn.ModuleDict(adapters)
        self.num_channels = max(adapter.num_channels for adapter in adapters.values()) + min_padding
        self.token_counts = {name: adapter.num_tokens for name, adapter in adapters.items()}
        self.num_tokens = sum(self.token_counts.values())
        self.paddings = nn.ParameterDict(
            {
                name: truncated_normal_parameter((self.num_channels - adapter.num_channels,), std=init_scale)
                for name, adapter in adapters.items()
            }
        )
        self.mask_tokens = nn.ParameterDict(
            {name: truncated_normal_parameter((self.num_channels,), std=init_scale) for name in adapters}
        )

    def forward(self, inputs: Mapping[str, Tensor | None]) -> Tensor:
        """Return ``[B, num_tokens, num_channels]``.

        Args:
            inputs: what the adapter of each modality takes; modalities that are None or left out are hidden.

        Raises:
            ValueError: if a modality is unknown, none is given, or the batch sizes differ.
        """
        given = {name: tensor for name, tensor in inputs.items() if tensor is not None}
        sizes = {name: tensor.shape[0] for name, tensor in given.items()}
        if not given or not self.token_counts.keys() >= inputs.keys():
            raise ValueError(f"inputs: expected some of {list(self.token_counts)}, got {list(given)} of {list(inputs)}")
        if len(set(sizes.values())) > 1:
            raise ValueError(f"inputs: expected the same batch size in every modality, got {sizes}")
        batch_size = next(iter(sizes.values()))
        return torch.cat([self._tokens(name, given.get(name), batch_size) for name in self.token_counts], dim=1)

    def _tokens(self, name: str, tensor: Tensor | None, batch_size: int) -> Tensor:
        """Return ``[B, M, num_channels]`` of one modality."""
        mask_token: Tensor = self.mask_tokens[name]
        probability = self.mask_probabilities.get(name, 0.0)
        if tensor is None or probability == 1.0:
            return mask_token.expand(batch_size, self.token_counts[name], -1)
        padding: Tensor = self.paddings[name]
        adapted = self.adapters[name](tensor).to(padding.dtype)
        tokens = torch.cat([adapted, padding.expand(*adapted.shape[:2], -1)], dim=-1)
        if not self.training or probability == 0.0:
            return tokens
        hidden = torch.rand(batch_size, 1, 1, device=tokens.device) < probability
        return torch.where(hidden, mask_token, tokens)
