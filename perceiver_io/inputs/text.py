"""Token ids -> embeddings with learned positions."""

from __future__ import annotations

from torch import Tensor, nn

from perceiver_io.checks import check_indices
from perceiver_io.inputs.adapter import InputAdapter
from perceiver_io.position import LearnedPositions


class TextInputs(InputAdapter):
    """One trained vector per token, byte or word piece, plus one per position (Jaegle et al. 2022, section 4.1).

    Args:
        vocabulary_size: token ids, from 0 on; 262 for UTF-8 bytes with their special tokens.
        max_length: tokens in the longest text.
        channels: channels of the embeddings.
        init_scale: standard deviation of both vectors at the start.
    """

    def __init__(self, vocabulary_size: int, max_length: int, channels: int, *, init_scale: float = 0.02) -> None:
        super().__init__()
        self.num_tokens = max_length
        self.num_channels = channels
        self.embedding = nn.Embedding(vocabulary_size, channels)
        nn.init.trunc_normal_(self.embedding.weight, std=init_scale, a=-2.0 * init_scale, b=2.0 * init_scale)
        self.positions = LearnedPositions(max_length, channels, init_scale=init_scale)

    def forward(self, token_ids: Tensor) -> Tensor:
        """Return ``[B, L, channels]`` of token ids ``[B, L]``, L at most ``max_length``.

        Raises:
            ValueError: if the ids are no integers, or the text is too long.
        """
        check_indices("token_ids", token_ids, rank=2)
        length = token_ids.shape[1]
        if length > self.num_tokens:
            raise ValueError(f"token_ids: expected at most {self.num_tokens} tokens, got {length}; cut the text")
        embeddings: Tensor = self.embedding(token_ids) + self.positions()[:length]
        return embeddings
