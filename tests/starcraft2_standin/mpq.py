"""An MPQ archive of a few small files, so that pysc2's reader (mpyq) finds the version of a replay.

Layout as documented at http://www.zezula.net/en/mpq/mpqformat.html: format version 0, files stored plain in one piece.
"""

from __future__ import annotations

import struct

_MASK = 0xFFFFFFFF
_HEADER_SIZE = 32
_STORED = 0x81000000
"""File exists, single unit, not compressed."""
_FREE = struct.pack("<4I", _MASK, _MASK, _MASK, _MASK)


def _crypt_table() -> list[int]:
    seed, table = 0x00100001, [0] * 0x500
    for low in range(0x100):
        for high in range(5):
            halves = []
            for _ in range(2):
                seed = (seed * 125 + 3) % 0x2AAAAB
                halves.append(seed & 0xFFFF)
            table[high * 0x100 + low] = halves[0] << 16 | halves[1]
    return table


_TABLE = _crypt_table()


def _hash(name: str, kind: int) -> int:
    """Return the hash of a name: kind 0 the table slot, 1 and 2 the check values, 3 the encryption key."""
    first, second = 0x7FED7FED, 0xEEEEEEEE
    for letter in name.upper().encode():
        first = _TABLE[kind * 0x100 + letter] ^ (first + second) & _MASK
        second = (letter + first + second * 33 + 3) & _MASK
    return first


def _encrypt(data: bytes, key: int) -> bytes:
    second, words = 0xEEEEEEEE, []
    for (word,) in struct.iter_unpack("<I", data):
        second = (second + _TABLE[0x400 + (key & 0xFF)]) & _MASK
        words.append(word ^ (key + second) & _MASK)
        key = ((~key << 21) + 0x11111111 | key >> 11) & _MASK
        second = (word + second * 33 + 3) & _MASK
    return struct.pack(f"<{len(words)}I", *words)


def write(files: dict[str, bytes]) -> bytes:
    """Return an archive with these files and a list of their names."""
    files = {**files, "(listfile)": "\r\n".join(files).encode()}
    slots = 1 << (2 * len(files)).bit_length()
    hashes, blocks, body = [_FREE] * slots, b"", b""
    for index, (name, data) in enumerate(files.items()):
        blocks += struct.pack("<4I", _HEADER_SIZE + len(body), len(data), len(data), _STORED)
        body += data
        slot = _hash(name, 0) % slots
        while hashes[slot] != _FREE:
            slot = (slot + 1) % slots
        hashes[slot] = struct.pack("<IIHHI", _hash(name, 1), _hash(name, 2), 0, 0, index)
    hash_at = _HEADER_SIZE + len(body)
    block_at = hash_at + 16 * slots
    size = block_at + len(blocks)
    counts = (hash_at, block_at, slots, len(files))
    header = struct.pack("<4s2I2H4I", b"MPQ\x1a", _HEADER_SIZE, size, 0, 3, *counts)
    table = _encrypt(b"".join(hashes), _hash("(hash table)", 3))
    return header + body + table + _encrypt(blocks, _hash("(block table)", 3))


def read(archive: bytes, name: str) -> bytes:
    """Return a file of an archive that `write` made.

    Raises:
        ValueError: if it is no such archive.
    """
    if archive[:4] != b"MPQ\x1a" or len(archive) < _HEADER_SIZE:
        raise ValueError(f"got {archive[:4]!r} at the start; expected an MPQ archive")
    _, _, _, _, _, hash_at, block_at, slots, _ = struct.unpack("<4s2I2H4I", archive[:_HEADER_SIZE])
    table = _decrypt(archive[hash_at : hash_at + 16 * slots], _hash("(hash table)", 3))
    blocks = _decrypt(archive[block_at:], _hash("(block table)", 3))
    wanted = (_hash(name, 1), _hash(name, 2))
    for first, second, _, _, index in struct.iter_unpack("<IIHHI", table):
        if (first, second) == wanted and 16 * index < len(blocks):
            offset, size, _, _ = struct.unpack_from("<4I", blocks, 16 * index)
            return archive[offset : offset + size]
    raise ValueError(f"no file {name!r} in this archive; expected a replay that the stand-in wrote")


def _decrypt(data: bytes, key: int) -> bytes:
    second, words = 0xEEEEEEEE, []
    for (word,) in struct.iter_unpack("<I", data):
        second = (second + _TABLE[0x400 + (key & 0xFF)]) & _MASK
        plain = word ^ (key + second) & _MASK
        words.append(plain)
        key = ((~key << 21) + 0x11111111 | key >> 11) & _MASK
        second = (plain + second * 33 + 3) & _MASK
    return struct.pack(f"<{len(words)}I", *words)
