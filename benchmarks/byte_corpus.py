"""English text that is on every machine that runs the benchmarks: the documentation inside installed packages.

Of Python's language reference and of the docstrings, only paragraphs of prose are kept, each once.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

REFERENCE = "pydoc_data.topics"
PACKAGES = ("numpy", "scipy", "sklearn")
LEAST_CHARACTERS, LEAST_PROSE_SHARE = 80, 0.93
HELD_OUT_ONE_IN = 8


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Bytes to train on and, from other files, to test on."""

    training: Tensor
    """``[K]`` uint8."""
    held_out: Tensor
    """``[L]`` uint8."""
    description: dict[str, Any]
    """Sources, files, bytes and hashes of what was read."""


def read_corpus(packages: Sequence[str] = PACKAGES) -> Corpus:
    """Return the prose of Python's language reference and of the docstrings of `packages`.

    Which files are held out depends on their names alone: another version of a package changes their text only. A
    paragraph that is in several files counts for the first, so none is in both parts.
    """
    parts: dict[bool, list[str]] = {False: [], True: []}
    files = {False: 0, True: 0}
    seen: set[str] = set()
    for name, text in _documents(packages):
        held_out = int(hashlib.sha256(name.encode()).hexdigest(), 16) % HELD_OUT_ONE_IN == 0
        paragraphs = [paragraph for paragraph in dict.fromkeys(prose(text)) if paragraph not in seen]
        seen.update(paragraphs)
        parts[held_out] += paragraphs
        files[held_out] += bool(paragraphs)
    training, held_out_text = ("\n".join(parts[part]).encode() for part in (False, True))
    described = {
        name: {"files": files[part], "bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}
        for name, part, text in (("training", False, training), ("held_out", True, held_out_text))
    }
    return Corpus(
        training=_bytes(training),
        held_out=_bytes(held_out_text),
        description={"sources": [REFERENCE, *packages], **described},
    )


def prose(text: str) -> Iterator[str]:
    """Yield the paragraphs that are long enough and mostly letters, spaces and commas, each in one line."""
    for block in re.split(r"\n\s*\n", text):
        paragraph = " ".join(block.split())
        letters = sum(character.isalpha() or character in " ,.'" for character in paragraph)
        if len(paragraph) >= LEAST_CHARACTERS and letters >= LEAST_PROSE_SHARE * len(paragraph):
            yield paragraph


def _documents(packages: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the name and documentation of every file, in a fixed order; a topic of the reference counts as a file."""
    topics: Mapping[str, str] = importlib.import_module(REFERENCE).topics
    for topic in sorted(topics):
        yield f"{REFERENCE}/{topic}", topics[topic]
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"{package} is missing: pip install 'perceiver-star[dev]'")
        folder = Path(spec.origin).parent
        for path in sorted(folder.rglob("*.py")):
            name = path.relative_to(folder.parent).as_posix()
            if "/tests/" not in name:
                yield name, "\n\n".join(docstrings(path.read_text(encoding="utf-8")))


def docstrings(source: str) -> Iterator[str]:
    """Yield the docstrings of Python code."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (text := ast.get_docstring(node)):
            yield text


def _bytes(text: bytes) -> Tensor:
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)
