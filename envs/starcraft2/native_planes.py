"""The fast reader of the minimap: what `planes.write_minimap` writes, unpacked in C."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from envs.starcraft2.compatibility import sc_pb, spatial_pb
from envs.starcraft2.native_library import native_library
from envs.starcraft2.planes import PLANE_NAMES

_PATH = (
    (sc_pb.Response, "observation"),
    (sc_pb.ResponseObservation, "observation"),
    (sc_pb.Observation, "feature_layer_data"),
    (spatial_pb.ObservationFeatureLayer, "minimap_renders"),
)
"""Where a Response holds its minimap."""


class NativeMinimap:
    """Unpacks the minimap of an answer."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._function = library.perceiver_star_minimap
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._function.argtypes = (ctypes.c_char_p, *(number, pointer) * 2, *(number,) * 3, pointer, pointer)
        self._function.restype = number
        fields = spatial_pb.FeatureLayersMinimap.DESCRIPTOR.fields_by_name
        self._path = np.array([message.DESCRIPTOR.fields_by_name[name].number for message, name in _PATH], np.int32)
        self._fields = np.array([fields[name].number for name in PLANE_NAMES], np.int32)
        self._bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
        self._addresses = self._path.ctypes.data, self._fields.ctypes.data, self._bits.ctypes.data

    def write(self, answer: bytes, planes: NDArray[np.uint8]) -> bool:
        """Fill `planes` [planes, height, width] as `planes.write_minimap`; return whether C can read this minimap."""
        if planes.dtype != np.uint8 or not planes.flags.c_contiguous:
            return False
        path, fields, bits = self._addresses
        count, height, width = planes.shape
        sizes = count, width, height
        status = self._function(answer, len(answer), path, len(self._path), fields, *sizes, bits, planes.ctypes.data)
        return bool(status == 0)


def native_minimap() -> NativeMinimap | None:
    """Return the fast reader, None where there is no C."""
    library = native_library()
    return None if library is None else NativeMinimap(library)
