"""Text <-> the byte ids that the published language model reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ByteTokenizer:
    """UTF-8 bytes as token ids, after six special tokens: 262 ids in all.

    Example:
        >>> ByteTokenizer().encode("Ah").tolist()
        [4, 71, 110, 5]
    """

    pad_id: int = 0
    bos_id: int = 1
    eos_id: int = 2
    mask_id: int = 3
    cls_id: int = 4
    sep_id: int = 5
    num_special: int = 6
    """The id of byte 0."""

    @property
    def vocabulary_size(self) -> int:
        """Number of ids: the special ones and 256 bytes."""
        return self.num_special + 256

    def encode(self, text: str, *, add_special_tokens: bool = True) -> Tensor:
        """Return the ids ``[L]`` of a text, between a cls and a sep token unless told otherwise."""
        byte_ids = [byte + self.num_special for byte in text.encode("utf-8")]
        token_ids = [self.cls_id, *byte_ids, self.sep_id] if add_special_tokens else byte_ids
        return torch.tensor(token_ids, dtype=torch.long)

    def encode_batch(
        self, texts: Sequence[str], *, length: int | None = None, add_special_tokens: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Return padded ids ``[B, L]`` and their mask ``[B, L]``, True = real.

        Args:
            texts: the texts, B.
            length: L; that of the longest text by default.
            add_special_tokens: put each text between a cls and a sep token.

        Raises:
            ValueError: if a text is longer than ``length``.
        """
        rows = [self.encode(text, add_special_tokens=add_special_tokens) for text in texts]
        longest = max((row.numel() for row in rows), default=0)
        length = longest if length is None else length
        if longest > length:
            raise ValueError(f"texts: expected at most {length} tokens, got {longest}; cut the text")
        token_ids = torch.full((len(rows), length), self.pad_id)
        token_mask = torch.zeros(len(rows), length, dtype=torch.bool)
        for index, row in enumerate(rows):
            token_ids[index, : row.numel()] = row
            token_mask[index, : row.numel()] = True
        return token_ids, token_mask

    def decode(self, token_ids: Tensor | Sequence[int]) -> str:
        """Return the text of ids ``[L]`` without the special tokens; bytes that are no UTF-8 become U+FFFD.

        Raises:
            ValueError: if an id is outside the vocabulary.
        """
        ids = [int(token_id) for token_id in token_ids]
        if ids and not 0 <= min(ids) <= max(ids) < self.vocabulary_size:
            raise ValueError(f"token_ids: expected ids below {self.vocabulary_size}, got {min(ids)} to {max(ids)}")
        return bytes(i - self.num_special for i in ids if i >= self.num_special).decode("utf-8", errors="replace")
