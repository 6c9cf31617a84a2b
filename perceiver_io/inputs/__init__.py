"""Input adapters: raw text, images, video, audio and labels -> tokens that the latents read (Jaegle et al. 2022)."""

from perceiver_io.inputs.adapter import InputAdapter
from perceiver_io.inputs.audio import AudioInputs
from perceiver_io.inputs.flow import FlowInputs, flow_patches
from perceiver_io.inputs.images import ConvolutionalStem, ImageFeatures, ImageInputs, ImagePositions
from perceiver_io.inputs.labels import LabelInputs
from perceiver_io.inputs.multimodal import MultimodalInputs
from perceiver_io.inputs.text import TextInputs
from perceiver_io.inputs.video import VideoInputs, space_to_depth

__all__ = [
    "AudioInputs",
    "ConvolutionalStem",
    "FlowInputs",
    "ImageFeatures",
    "ImageInputs",
    "ImagePositions",
    "InputAdapter",
    "LabelInputs",
    "MultimodalInputs",
    "TextInputs",
    "VideoInputs",
    "flow_patches",
    "space_to_depth",
]
