"""The tasks of the paper, each a model from raw inputs to outputs (Jaegle et al. 2022, section 4)."""

from perceiver_io.tasks.byte_tokenizer import ByteTokenizer
from perceiver_io.tasks.image_classifier import ImageClassifier, ImageClassifierConfig
from perceiver_io.tasks.masked_language_model import MaskedLanguageModel, MaskedLanguageModelConfig
from perceiver_io.tasks.multimodal_autoencoder import (
    MultimodalAutoencoder,
    MultimodalAutoencoderConfig,
    MultimodalOutput,
    MultimodalReconstruction,
)
from perceiver_io.tasks.optical_flow import OpticalFlow, OpticalFlowConfig
from perceiver_io.tasks.task import Task, TaskConfig

__all__ = [
    "ByteTokenizer",
    "ImageClassifier",
    "ImageClassifierConfig",
    "MaskedLanguageModel",
    "MaskedLanguageModelConfig",
    "MultimodalAutoencoder",
    "MultimodalAutoencoderConfig",
    "MultimodalOutput",
    "MultimodalReconstruction",
    "OpticalFlow",
    "OpticalFlowConfig",
    "Task",
    "TaskConfig",
]
