"""Perceiver IO written as loops over batch, query, head and key, for comparison (Jaegle et al. 2022, appendix E)."""

import math

import torch
from torch import Tensor, nn

from perceiver_io import CrossAttentionBlock, PerceiverIO, SelfAttentionBlock


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.stack([(weight[row] * x).sum() + bias[row] for row in range(weight.shape[0])])


def norm(x: Tensor, module: nn.LayerNorm) -> Tensor:
    centred = x - x.mean()
    return centred / torch.sqrt((centred * centred).mean() + module.eps) * module.weight + module.bias


def gelu(x: Tensor, activation: str) -> Tensor:
    if activation == "gelu":
        return 0.5 * x * (1.0 + torch.erf(x / math.sqrt(2.0)))
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def attend(query: Tensor, keys: list[Tensor], values: list[Tensor], num_heads: int) -> Tensor:
    """One query against the real keys of its list, head by head."""
    width, value_width = query.shape[0] // num_heads, values[0].shape[0] // num_heads if values else 0
    heads = []
    for head in range(num_heads):
        part = slice(head * width, (head + 1) * width)
        weights = [torch.exp((query[part] * key[part]).sum() / math.sqrt(width)) for key in keys]
        total = sum(weights)
        value_part = slice(head * value_width, (head + 1) * value_width)
        heads.append(sum(weight / total * value[value_part] for weight, value in zip(weights, values, strict=True)))
    return torch.cat(heads)


def mlp(x: Tensor, block: CrossAttentionBlock | SelfAttentionBlock, activation: str) -> Tensor:
    hidden = linear(norm(x, block.mlp_norm), block.mlp.to_hidden.weight, block.mlp.to_hidden.bias)
    return linear(gelu(hidden, activation), block.mlp.to_output.weight, block.mlp.to_output.bias)


def cross_block(
    block: CrossAttentionBlock, queries: list[Tensor], inputs: list[Tensor], activation: str, residual: bool
) -> list[Tensor]:
    attention = block.attention
    qk = attention.qk_channels
    weight, bias = attention.to_key_value.weight, attention.to_key_value.bias
    normed = [norm(x, block.input_norm) for x in inputs]
    keys = [linear(x, weight[:qk], bias[:qk]) for x in normed]
    values = [linear(x, weight[qk:], bias[qk:]) for x in normed]
    outputs = []
    for x in queries:
        query = linear(norm(x, block.query_norm), attention.to_query.weight, attention.to_query.bias)
        empty = torch.zeros(attention.v_channels, dtype=x.dtype)
        read = attend(query, keys, values, attention.num_heads) if inputs else empty
        row = linear(read, attention.to_output.weight, attention.to_output.bias) + (x if residual else 0.0)
        outputs.append(row + mlp(row, block, activation))
    return outputs


def self_block(block: SelfAttentionBlock, inputs: list[Tensor], activation: str) -> list[Tensor]:
    attention = block.attention
    qk = attention.qk_channels
    weight, bias = attention.to_query_key_value.weight, attention.to_query_key_value.bias
    projected = [linear(norm(x, block.norm), weight, bias) for x in inputs]
    keys, values = [p[qk : 2 * qk] for p in projected], [p[2 * qk :] for p in projected]
    outputs = []
    for x, p in zip(inputs, projected, strict=True):
        read = attend(p[:qk], keys, values, attention.num_heads)
        row = x + linear(read, attention.to_output.weight, attention.to_output.bias)
        outputs.append(row + mlp(row, block, activation))
    return outputs


def perceiver_io(
    model: PerceiverIO, inputs: Tensor, queries: Tensor, input_mask: Tensor, query_mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Return (outputs, latents) of a padded batch."""
    config = model.config
    all_outputs, all_latents = [], []
    for b in range(inputs.shape[0]):
        real = [inputs[b, m] for m in range(inputs.shape[1]) if input_mask[b, m]]
        latents = list(model.encoder.latents)
        reads = [model.encoder.cross_attention, *model.encoder.later_cross_attentions]
        layers = list(model.encoder.self_attention_layers)
        for block in range(config.num_blocks):
            if block < config.num_cross_attentions:
                read = reads[min(block, len(reads) - 1)]
                latents = cross_block(read, latents, real, config.activation, residual=True)
            count = config.num_self_attention_layers_per_block
            stack = layers if config.share_block_weights else layers[block * count : (block + 1) * count]
            for layer in stack:
                latents = self_block(layer, latents, config.activation)
        rows = cross_block(
            model.decoder.cross_attention,
            list(queries[b]),
            latents,
            config.activation,
            residual=config.decoder_query_residual,
        )
        if model.decoder.output is not None:
            rows = [linear(row, model.decoder.output.weight, model.decoder.output.bias) for row in rows]
        outputs = torch.stack(rows)
        all_outputs.append(torch.where(query_mask[b].unsqueeze(-1), outputs, torch.zeros_like(outputs)))
        all_latents.append(torch.stack(latents))
    return torch.stack(all_outputs), torch.stack(all_latents)
