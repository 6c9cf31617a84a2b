"""Rows of padded token lists: dense work runs on the real tokens only."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from perceiver_io.execution import is_recorded


@dataclass(frozen=True, kw_only=True, eq=False)
class RowLayout:
    """Where the rows of a flat ``[R, C]`` tensor sit in a padded ``[batch_size, length, C]`` tensor.

    Layer norms, projections and MLPs treat every token alike, so they run on rows. Attention works list by list, on
    lists padded to the longest one of the batch only: it doesn't depend on the slots that tokens sit in. In game
    observations most slots are padding, and leaving them out is the largest saving there is.
    """

    batch_size: int
    length: int
    mask: Tensor | None = None
    """``[batch_size, length]`` bool, True = real; None where every slot is real."""
    index: Tensor | None = None
    """``[R]`` flat positions of the real tokens; None where every slot has a row, padding included."""
    attention_length: int
    """Slots of a list in attention, A: the length, or that of the longest list of real tokens."""
    attention_mask: Tensor | None = None
    """``[batch_size, A]`` bool, True = real; None where every slot is real."""
    attention_index: Tensor | None = None
    """``[R]`` flat positions of the real tokens in attention; None where every slot has a row."""
    lengths: tuple[int, ...] | None = None
    """Rows of each list; None where every slot has a row."""

    @classmethod
    def full(cls, batch_size: int, length: int) -> RowLayout:
        """Return the layout of a batch without padding."""
        return cls(batch_size=batch_size, length=length, attention_length=length)

    @classmethod
    def from_mask(cls, batch_size: int, length: int, mask: Tensor | None, *, skip_padding: bool = True) -> RowLayout:
        """Return the layout of a padded batch.

        Args:
            batch_size: lists in the batch.
            length: slots in a list.
            mask: ``[batch_size, length]`` bool, True = real, or None where nothing is padded.
            skip_padding: give rows to real tokens only. Their number depends on the data, which costs a
                synchronisation on an accelerator; False keeps static shapes, as do compiling, exporting and tracing.
        """
        if mask is None:
            return cls.full(batch_size, length)
        if not skip_padding or is_recorded():
            return cls(batch_size=batch_size, length=length, mask=mask, attention_length=length, attention_mask=mask)
        index = mask.reshape(-1).nonzero().squeeze(1)
        num_rows = index.shape[0]
        if num_rows == batch_size * length:
            return cls.full(batch_size, length)
        counts = mask.sum(dim=1)
        lengths: tuple[int, ...] = tuple(counts.tolist())
        longest = max(lengths)
        slots = torch.arange(max(num_rows, batch_size, longest), device=mask.device)
        shifts = slots[:batch_size] * longest - (counts.cumsum(dim=0) - counts)
        return cls(
            batch_size=batch_size,
            length=length,
            mask=mask,
            index=index,
            attention_length=longest,
            attention_mask=slots[:longest] < counts.unsqueeze(1),
            attention_index=slots[:num_rows] + shifts.repeat_interleave(counts, output_size=num_rows),
            lengths=lengths,
        )

    def pack(self, padded: Tensor) -> Tensor:
        """Return rows ``[R, C]`` of a padded ``[batch_size, length, C]`` tensor; what padding held is dropped."""
        if self.index is None and self.mask is not None:
            padded = torch.where(self.mask.unsqueeze(-1), padded, 0.0)
        return _gather(padded, self.index)

    def unpack(self, rows: Tensor) -> Tensor:
        """Return the padded ``[batch_size, length, C]`` tensor of ``[R, C]`` rows, zeros in masked slots."""
        padded = _scatter(rows, self.index, (self.batch_size, self.length), fill=0.0)
        if self.index is None and self.mask is not None:
            padded = torch.where(self.mask.unsqueeze(-1), padded, 0.0)
        return padded

    def add_shared(self, rows: Tensor, shared: Tensor) -> Tensor:
        """Return rows ``[R, C]`` plus a ``[length, C]`` tensor that is the same in every list of the batch."""
        if self.index is not None:
            return rows + shared.index_select(0, self.index % self.length)
        return (rows.view(self.batch_size, self.length, rows.shape[-1]) + shared).view(rows.shape)

    def mean(self, rows: Tensor) -> Tensor:
        """Return ``[batch_size, C]``: the mean over each list's real rows ``[R, C]``, zeros where it has none."""
        if self.attention_mask is None:
            return mean_of(self.to_attention(rows), max(self.attention_length, 1))
        return mean_of(self.to_attention(rows, fill=0.0), self.attention_mask.sum(dim=1, keepdim=True).clamp(min=1))

    def repeat(self, per_list: Tensor) -> Tensor:
        """Return rows ``[R, C]``: every row has that of its list in ``[batch_size, C]``."""
        if self.index is not None:
            return per_list.index_select(0, self.index // self.length)
        return per_list.unsqueeze(1).expand(-1, self.length, -1).reshape(-1, per_list.shape[-1])

    def lists(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return the rows of each list: views ``[R_b, C]`` of ``[R, C]``."""
        sizes = self.length if self.lengths is None else list(self.lengths)
        views: tuple[Tensor, ...] = rows.split(sizes)
        return views

    def has_real(self) -> Tensor | bool:
        """Return whether each list has a real token, ``[batch_size, 1, 1]``, or one answer for all."""
        if self.attention_mask is None:
            return self.attention_length > 0
        return self.attention_mask.any(dim=1).view(-1, 1, 1)

    def to_attention(self, rows: Tensor, *, fill: float | None = None) -> Tensor:
        """Return ``[batch_size, A, C]`` of ``[R, C]`` rows.

        Masked slots hold ``fill``; where that is None, they hold some finite number.
        """
        shape = (self.batch_size, self.attention_length)
        padded = _scatter(rows, self.attention_index, shape, fill=0.0 if fill is None else fill)
        if fill is not None and self.attention_index is None and self.attention_mask is not None:
            padded = torch.where(self.attention_mask.unsqueeze(-1), padded, fill)
        return padded

    def from_attention(self, attended: Tensor) -> Tensor:
        """Return rows ``[R, C]`` of ``[batch_size, A, C]``."""
        return _gather(attended, self.attention_index)


def mean_of(padded: Tensor, number: Tensor | int) -> Tensor:
    """Return ``[B, C]``: the sum of ``[B, L, C]`` over L, divided by ``[B, 1]`` or a number; float32 or more inside."""
    total = padded.sum(dim=1, dtype=torch.promote_types(padded.dtype, torch.float32))
    return (total / number).to(padded.dtype)


def _gather(padded: Tensor, index: Tensor | None) -> Tensor:
    flat = padded.reshape(-1, padded.shape[-1])
    return flat if index is None else flat.index_select(0, index)


def _scatter(rows: Tensor, index: Tensor | None, shape: tuple[int, int], *, fill: float) -> Tensor:
    padded_shape = (*shape, rows.shape[-1])
    if index is None:
        return rows.view(padded_shape)
    return rows.new_full((shape[0] * shape[1], rows.shape[-1]), fill).index_copy_(0, index, rows).view(padded_shape)
