"""Masked language modelling on bytes or word pieces (Jaegle et al. 2022, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from perceiver_io.checks import check_indices, check_mask
from perceiver_io.inputs import TextInputs
from perceiver_io.model import PerceiverIO
from perceiver_io.queries import LearnedQueries
from perceiver_io.tasks.task import Task, TaskConfig


@dataclass(frozen=True, kw_only=True)
class MaskedLanguageModelConfig(TaskConfig):
    """Sizes of a :class:`MaskedLanguageModel`."""

    vocabulary_size: int = 262
    """Token ids: by default UTF-8 bytes after six special tokens, as :class:`ByteTokenizer` makes them."""
    max_length: int = 2048
    """Tokens in the longest text."""
    token_channels: int = 768
    """Channels of the token embeddings and of the output queries."""

    @classmethod
    def language_perceiver(cls) -> MaskedLanguageModelConfig:
        """Return the paper's base model on bytes: 201 M parameters, published as language-perceiver."""
        return cls._published(latent_channels=1280, num_layers=26)

    @classmethod
    def language_perceiver_large(cls) -> MaskedLanguageModelConfig:
        """Return the paper's Perceiver IO++ on bytes: 425 M parameters."""
        return cls._published(latent_channels=1536, num_layers=40)

    @classmethod
    def word_pieces(cls, vocabulary_size: int = 32_000) -> MaskedLanguageModelConfig:
        """Return the paper's base model on word pieces: 223 M parameters with 32,000 of them."""
        return cls._published(latent_channels=1280, num_layers=26, vocabulary_size=vocabulary_size, max_length=512)

    @classmethod
    def _published(
        cls, *, latent_channels: int, num_layers: int, vocabulary_size: int = 262, max_length: int = 2048
    ) -> MaskedLanguageModelConfig:
        return cls(
            vocabulary_size=vocabulary_size,
            max_length=max_length,
            token_channels=768,
            num_latents=256,
            latent_channels=latent_channels,
            num_self_attention_layers_per_block=num_layers,
            num_cross_attention_heads=8,
            num_self_attention_heads=8,
            num_decoder_heads=8,
            cross_attention_qk_channels=256,
            cross_attention_v_channels=latent_channels,
            self_attention_qk_channels=256,
            self_attention_v_channels=latent_channels,
            decoder_qk_channels=256,
            decoder_v_channels=768,
        )


class MaskedLanguageModel(Task):
    """Token ids -> for every position, logits of the token that belongs there.

    The output queries are one trained vector per position, and the logits are products with the input embeddings.

    Example:
        >>> tokenizer = ByteTokenizer()
        >>> model = MaskedLanguageModel(MaskedLanguageModelConfig(num_latents=16, latent_channels=64))
        >>> model(tokenizer.encode("hello").unsqueeze(0)).shape
        torch.Size([1, 7, 262])
    """

    name: ClassVar[str] = "masked_language_model"
    config_class: ClassVar[type[TaskConfig]] = MaskedLanguageModelConfig
    config: MaskedLanguageModelConfig

    def __init__(self, config: MaskedLanguageModelConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.token_channels
        self.inputs = TextInputs(config.vocabulary_size, config.max_length, channels)
        self.queries = LearnedQueries(config.max_length, channels)
        self.perceiver_io = PerceiverIO(config.perceiver_io(input_channels=channels, query_channels=channels))
        self.logit_bias = nn.Parameter(torch.zeros(config.vocabulary_size))

    def forward(self, token_ids: Tensor, token_mask: Tensor | None = None) -> Tensor:
        """Return logits ``[B, L, vocabulary_size]``, zeros where the text has ended.

        Args:
            token_ids: ``[B, L]``, L at most ``max_length``.
            token_mask: ``[B, L]`` bool, True = real, False = padding.

        Raises:
            ValueError: if a shape or dtype is not the expected one.
        """
        check_indices("token_ids", token_ids, rank=2)
        if token_mask is not None:
            check_mask("token_mask", token_mask, shape=(token_ids.shape[0], token_ids.shape[1]), of="token_ids")
            token_ids = token_ids.masked_fill(~token_mask, 0)  # some tokenisers pad with ids that are none
        tokens = self.inputs(token_ids)
        queries = self.queries()[: token_ids.shape[1]]
        embeddings = self.perceiver_io(tokens, queries, token_mask, token_mask)
        logits = F.linear(embeddings, self.inputs.embedding.weight, self.logit_bias)
        return logits if token_mask is None else logits.masked_fill(~token_mask.unsqueeze(-1), 0.0)
