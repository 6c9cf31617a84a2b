"""Protobuf by hand where it pays: a message field from bytes that are serialized already."""

from __future__ import annotations


def varint(value: int) -> bytes:
    """Return a non-negative number in protobuf's base-128 form."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    """Return one length-delimited field; appended to a message it merges into that message."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload
