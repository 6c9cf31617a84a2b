"""Class labels -> one token each."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from perceiver_io.checks import check_indices
from perceiver_io.inputs.adapter import InputAdapter


class LabelInputs(InputAdapter):
    """One token that is 1 in the channel of the class, and 0 elsewhere.

    Args:
        num_classes: classes, which are the channels.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_tokens = 1
        self.num_channels = num_classes

    def forward(self, labels: Tensor) -> Tensor:
        """Return ``[B, 1, num_classes]`` of labels ``[B]`` from 0 to ``num_classes - 1``.

        Raises:
            ValueError: if the labels are no integers or have another shape.
        """
        check_indices("labels", labels, rank=1)
        return F.one_hot(labels.long(), self.num_channels).to(torch.get_default_dtype()).unsqueeze(1)
