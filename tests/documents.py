"""The pages of the documentation, and the code in them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def read_page(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def code_blocks(page: str, *languages: str) -> list[str]:
    """Return the blocks of a page in some languages, in order."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", read_page(page), re.MULTILINE | re.DOTALL)
    return [text for language, text in blocks if language in languages]


def links(page: str) -> list[str]:
    """Return the files that a page links or shows, relative to its folder."""
    targets = re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", read_page(page))
    return [
        (link or source).partition("#")[0]
        for link, source in targets
        if not (link or source).startswith(("http:", "https:", "#"))
    ]
