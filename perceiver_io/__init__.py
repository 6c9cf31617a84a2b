"""Perceiver IO in PyTorch (Jaegle et al. 2022, arXiv 2107.14795): needs torch and nothing else."""

from perceiver_io.attention import MLP, Activation, CrossAttention, SelfAttention, multi_head_attention
from perceiver_io.baselines import (
    CosformerTorso,
    CosformerTorsoConfig,
    DeepSetsTorso,
    DeepSetsTorsoConfig,
    EntityBaseline,
    EntityBaselineConfig,
    EntityTorsoKind,
    SetTransformerTorso,
    SetTransformerTorsoConfig,
    TransformerTorso,
    TransformerTorsoConfig,
    entity_torso,
)
from perceiver_io.blocks import CrossAttentionBlock, SelfAttentionBlock
from perceiver_io.config import PerceiverIOConfig
from perceiver_io.entities import EntityTorso, EntityTorsoConfig, EntityTorsoOutput
from perceiver_io.model import PerceiverDecoder, PerceiverEncoder, PerceiverIO
from perceiver_io.position import FourierFeatures, FourierPositions, LearnedPositions
from perceiver_io.rows import RowLayout

__all__ = [
    "MLP",
    "Activation",
    "CosformerTorso",
    "CosformerTorsoConfig",
    "CrossAttention",
    "CrossAttentionBlock",
    "DeepSetsTorso",
    "DeepSetsTorsoConfig",
    "EntityBaseline",
    "EntityBaselineConfig",
    "EntityTorso",
    "EntityTorsoConfig",
    "EntityTorsoKind",
    "EntityTorsoOutput",
    "FourierFeatures",
    "FourierPositions",
    "LearnedPositions",
    "PerceiverDecoder",
    "PerceiverEncoder",
    "PerceiverIO",
    "PerceiverIOConfig",
    "RowLayout",
    "SelfAttention",
    "SelfAttentionBlock",
    "SetTransformerTorso",
    "SetTransformerTorsoConfig",
    "TransformerTorso",
    "TransformerTorsoConfig",
    "entity_torso",
    "multi_head_attention",
]
