"""Hide bytes of a text and let a masked language model put them back.

python examples/masked_language_model.py
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from perceiver_io.tasks import ByteTokenizer, MaskedLanguageModel, MaskedLanguageModelConfig

TEXTS = (
    "the latents read the bytes",
    "the queries read the latents",
    "the bytes are the inputs",
    "one vector for each query",
)


def hide(token_ids: Tensor, token_mask: Tensor, tokenizer: ByteTokenizer, share: float) -> tuple[Tensor, Tensor]:
    """Return ids [B, L] with a share of the bytes hidden, and where [B, L] they are."""
    is_byte = token_mask & (token_ids >= tokenizer.num_special)
    hidden = is_byte & (torch.rand(token_ids.shape) < share)
    return token_ids.masked_fill(hidden, tokenizer.mask_id), hidden


def train(num_steps: int = 150) -> tuple[MaskedLanguageModel, float]:
    """Return a model of the texts and its last loss in nats per hidden byte."""
    tokenizer = ByteTokenizer()
    token_ids, token_mask = tokenizer.encode_batch(TEXTS * 4)  # each with other bytes hidden
    model = MaskedLanguageModel(
        MaskedLanguageModelConfig(
            max_length=32,
            token_channels=48,
            num_latents=16,
            latent_channels=64,
            num_self_attention_layers_per_block=2,
            num_decoder_heads=4,
            latent_init_scale=1.0,
        )
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(num_steps):
        visible_ids, hidden = hide(token_ids, token_mask, tokenizer, share=0.2)
        loss = F.cross_entropy(model(visible_ids, token_mask)[hidden], token_ids[hidden])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval(), loss.item()


def main() -> None:
    """Train for a moment and fill in a text."""
    torch.manual_seed(0)
    model, loss = train()
    tokenizer = ByteTokenizer()
    token_ids, token_mask = tokenizer.encode_batch(TEXTS[:1])
    token_ids[0, 5:8] = tokenizer.mask_id
    filled = torch.where(token_ids == tokenizer.mask_id, model(token_ids, token_mask).argmax(-1), token_ids)
    print(f"loss {loss:.2f} nats per byte; the ___ents read the bytes -> {tokenizer.decode(filled[0])}")


if __name__ == "__main__":
    main()
