"""Learns to fill in masked bytes of English text: Perceiver IO against a transformer that costs as much.

python benchmarks/masked_bytes.py --output masked_bytes.json

The paper's experiment (Jaegle et al. 2022, section 4.1) at a very small scale: both models read the same bytes, in the
same order, with the same ones masked, and do the same number of operations for each sequence. Writes masked_bytes.json,
and beside it masked_bytes.png with the curves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from byte_corpus import Corpus, read_corpus
from flops import count_flops
from supervised import Run, Schedule, mean_of, read_options, train, write_results
from torch import Tensor, nn

from perceiver_io import RowLayout, SelfAttentionBlock
from perceiver_io.inputs import TextInputs
from perceiver_io.tasks import ByteTokenizer, MaskedLanguageModel, MaskedLanguageModelConfig

PERCEIVER, TRANSFORMER = "Perceiver IO", "transformer"
SCHEDULE = Schedule(steps=3000, batch_size=64, learning_rate=3e-3)
LENGTH, MASKED_SHARE = 64, 0.15
TEST_SEQUENCES, TINY_TEST_SEQUENCES = 256, 8
TOKENIZER = ByteTokenizer()


class Transformer(nn.Module):
    """BERT's kind of encoder on bytes, pre-norm, with the embeddings of inputs and outputs shared as in our model."""

    def __init__(self, *, channels: int, num_layers: int, num_heads: int, widening_factor: int) -> None:
        super().__init__()
        self.inputs = TextInputs(TOKENIZER.vocabulary_size, LENGTH, channels)
        self.layers = nn.ModuleList(
            SelfAttentionBlock(
                channels=channels,
                qk_channels=channels,
                v_channels=channels,
                num_heads=num_heads,
                widening_factor=widening_factor,
            )
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(channels)
        self.logit_bias = nn.Parameter(torch.zeros(TOKENIZER.vocabulary_size))

    def forward(self, token_ids: Tensor) -> Tensor:
        """Return logits ``[B, L, vocabulary_size]`` of token ids ``[B, L]``."""
        layout = RowLayout.full(*token_ids.shape)
        rows = self.inputs(token_ids).flatten(0, 1)
        for layer in self.layers:
            rows = layer(rows, layout)
        logits = F.linear(self.norm(rows), self.inputs.embedding.weight, self.logit_bias)
        return logits.unflatten(0, token_ids.shape)


def build_perceiver() -> MaskedLanguageModel:
    """Return the paper's model in small: 8 bytes for each latent, and latents wider than the bytes."""
    return MaskedLanguageModel(
        MaskedLanguageModelConfig(
            max_length=LENGTH,
            token_channels=64,
            num_latents=8,
            latent_channels=124,
            num_self_attention_layers_per_block=7,
            num_cross_attention_heads=4,
            num_self_attention_heads=4,
            num_decoder_heads=4,
            cross_attention_qk_channels=64,
            cross_attention_v_channels=124,
            decoder_qk_channels=64,
            decoder_v_channels=64,
            latent_init_scale=1.0,
        )
    )


def build_transformer() -> Transformer:
    """Return what the same operations buy of a transformer."""
    return Transformer(channels=64, num_layers=2, num_heads=4, widening_factor=4)


MODELS: dict[str, Callable[[], nn.Module]] = {PERCEIVER: build_perceiver, TRANSFORMER: build_transformer}


def draw(text: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return token ids ``[count, L]`` of random places of the text, and which of them to hide, True = hidden."""
    starts = torch.randint(len(text) - LENGTH + 1, (count, 1), generator=generator)
    token_ids = text[starts + torch.arange(LENGTH)].long() + TOKENIZER.num_special
    return token_ids, torch.rand(count, LENGTH, generator=generator) < MASKED_SHARE


def masked_logits(model: nn.Module, token_ids: Tensor, hidden: Tensor) -> Tensor:
    """Return logits ``[K, vocabulary_size]`` of the K hidden bytes."""
    logits: Tensor = model(token_ids.masked_fill(hidden, TOKENIZER.mask_id))
    return logits[hidden]


def run(build: Callable[[], nn.Module], seed: int, schedule: Schedule, corpus: Corpus, test_sequences: int) -> Run:
    """Return one trained model; what it reads depends on the seed alone."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    test_ids, test_hidden = draw(corpus.held_out, test_sequences, torch.Generator().manual_seed(0))
    targets = test_ids[test_hidden]

    def loss(model: nn.Module) -> Tensor:
        token_ids, hidden = draw(corpus.training, schedule.batch_size, generator)
        return F.cross_entropy(masked_logits(model, token_ids, hidden), token_ids[hidden])

    def evaluate(model: nn.Module) -> dict[str, float]:
        logits = masked_logits(model, test_ids, test_hidden)
        return {
            "held_out_accuracy": (logits.argmax(dim=-1) == targets).float().mean().item(),
            "held_out_cross_entropy": F.cross_entropy(logits, targets).item(),
        }

    return train(build(), loss, evaluate, schedule)


def without_context(corpus: Corpus) -> dict[str, float]:
    """Return the figures of a model that knows only how frequent each byte is."""
    counts = torch.bincount(corpus.training.long(), minlength=256) + 1.0
    frequencies = counts / counts.sum()
    held_out = corpus.held_out.long()
    return {
        "accuracy": (held_out == counts.argmax()).float().mean().item(),
        "cross_entropy": -frequencies[held_out].log().mean().item(),
    }


def summary(runs: dict[str, list[Run]]) -> dict[str, Any]:
    """Return cost and held-out figures of both models."""
    token_ids = torch.full((1, LENGTH), TOKENIZER.mask_id)
    flops = {name: count_flops(of_model[0].model, token_ids) for name, of_model in runs.items()}
    result: dict[str, Any] = {
        "flops_per_sequence": flops,
        "flops_ratio": flops[PERCEIVER] / flops[TRANSFORMER],
        "parameters": {
            name: sum(parameter.numel() for parameter in of_model[0].model.parameters())
            for name, of_model in runs.items()
        },
    }
    for figure in ("held_out_accuracy", "held_out_cross_entropy"):
        result[figure] = {name: mean_of(of_model, figure) for name, of_model in runs.items()}
        result[f"{figure}_each"] = {name: [run.last[figure] for run in of_model] for name, of_model in runs.items()}
    result["perceiver_ahead"] = (
        result["held_out_cross_entropy"][PERCEIVER] < result["held_out_cross_entropy"][TRANSFORMER]
    )
    return result


def main() -> None:
    """Train both models once for each seed and write the results."""
    options = read_options(__doc__, SCHEDULE, seeds=2)
    corpus = read_corpus(()) if options.tiny else read_corpus()
    test_sequences = TINY_TEST_SEQUENCES if options.tiny else TEST_SEQUENCES
    runs: dict[str, list[Run]] = {}
    for name, build in MODELS.items():
        seeds = range(1, options.seeds + 1)
        runs[name] = [run(build, seed, options.schedule, corpus, test_sequences) for seed in seeds]
        accuracy, entropy = (mean_of(runs[name], f"held_out_{figure}") for figure in ("accuracy", "cross_entropy"))
        print(f"{name}: {100 * accuracy:.1f} % of the masked bytes right, {entropy:.3f} nats a byte")
    results = {**summary(runs), "without_context": without_context(corpus), "corpus": corpus.description}
    panels = {"held_out_accuracy": "held-out accuracy", "held_out_cross_entropy": "held-out nats a byte"}
    write_results(options, results, runs, panels, packages=["scipy", "scikit-learn"])


if __name__ == "__main__":
    main()
