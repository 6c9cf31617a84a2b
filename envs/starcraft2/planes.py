"""Images of the protocol: minimap feature layers as planes, and the map's static grids."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

PLANE_NAMES = (
    "height_map",
    "visibility_map",
    "creep",
    "camera",
    "player_relative",
    "alerts",
    "pathable",
    "buildable",
)
"""The minimap feature layers that make up the planes, a subset of pysc2's `feature_minimap`."""
PLANE_HIGHS = (255, 3, 1, 1, 4, 1, 1, 1)
"""Largest value of each plane. visibility: 0 hidden, 1 seen before, 2 visible; player_relative as `alliance`."""
MINIMAP_SIZE = 128

_DTYPES: dict[int, np.dtype[Any]] = {8: np.dtype(np.uint8), 16: np.dtype("<u2"), 32: np.dtype("<i4")}


def unpack_image(image: Any) -> NDArray[Any] | None:
    """Return an `ImageData` message as an array [height, width], None where this build of the game leaves it out.

    Bits run from the most significant to the least; rows are in the message's order.

    Raises:
        ValueError: if the data does not fill the image, or the bits per pixel are not 1, 8, 16 or 32.
    """
    width, height, bits = image.size.x, image.size.y, image.bits_per_pixel
    if not width or not height:
        return None
    if bits != 1 and bits not in _DTYPES:
        raise ValueError(f"expected an image of 1, 8, 16 or 32 bits per pixel, got {bits}")
    expected_bytes = (width * height * bits + 7) // 8
    if len(image.data) < expected_bytes:
        raise ValueError(
            f"expected {expected_bytes} bytes for {width} x {height} pixels of {bits} bits, got {len(image.data)}"
        )
    if bits == 1:
        pixels = np.unpackbits(np.frombuffer(image.data, np.uint8, expected_bytes), count=width * height)
    else:
        pixels = np.frombuffer(image.data, _DTYPES[bits], width * height)
    return pixels.reshape(height, width)


def write_minimap(minimap_renders: Any, planes: NDArray[np.uint8]) -> None:
    """Fill `planes` [planes, height, width] with the minimap's feature layers; zeros for layers that are left out.

    The minimap has row 0 at the top, one scale on both axes, and its origin in the map's top left corner, as the grid
    of entity positions.

    Raises:
        ValueError: if a layer has another size.
    """
    for name, plane in zip(PLANE_NAMES, planes, strict=True):
        layer = unpack_image(getattr(minimap_renders, name))
        if layer is None:
            plane[:] = 0
        elif layer.shape != plane.shape:
            raise ValueError(
                f"expected the minimap layer {name} in {plane.shape} pixels, got {layer.shape}; "
                f"join the game with minimap_resolution {plane.shape[1]} x {plane.shape[0]}"
            )
        else:
            plane[:] = layer


class StaticGrids(NamedTuple):
    """What does not change about a map, one entry for each world cell [map height, map width], row 0 at the top.

    Attributes:
        pathable: whether ground units can walk there at the start.
        buildable: whether structures can be placed there at the start.
        terrain_height: world height z, float32.
    """

    pathable: NDArray[np.bool_]
    buildable: NDArray[np.bool_]
    terrain_height: NDArray[np.float32]


def static_grids(start_raw: Any) -> StaticGrids:
    """Return the grids of a `StartRaw` message of any build.

    Builds differ: the older ones send grids of 8 bits with row 0 at the top, 0 where one can walk and 255 where one
    can build, and heights from -100 to 100; the newer ones send bits with row 0 at the bottom, 1 where one can walk or
    build, and heights from -16 to 16. The pathing grid's bits per pixel tell which it is (recorded games of both).

    Raises:
        ValueError: if a grid is missing.
    """
    grids = [unpack_image(getattr(start_raw, name)) for name in ("pathing_grid", "placement_grid", "terrain_height")]
    if any(grid is None for grid in grids):
        raise ValueError("expected start_raw with its grids; join the game with the raw interface")
    pathing, placement, height = (np.asarray(grid) for grid in grids)
    if start_raw.pathing_grid.bits_per_pixel == 1:
        pathable, buildable, largest_height = pathing[::-1] != 0, placement[::-1] != 0, 16.0
        height = height[::-1]
    else:
        pathable, buildable, largest_height = pathing == 0, placement != 0, 100.0
    terrain_height = (height * (2 * largest_height / 255) - largest_height).astype(np.float32)
    return StaticGrids(pathable, buildable, terrain_height)
