"""How much memory a call takes at most, beyond what was there before."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

import torch


def peak_mebibytes(function: Callable[[], object], device: str = "cpu") -> float:
    """Return how many MiB a call takes at most beyond what its process, or the GPU, held before.

    Call it once before: libraries set themselves up at their first call.

    Raises:
        RuntimeError: on a CPU whose system is not Linux.
    """
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed would be used again uncounted
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    resident = _resident_mebibytes("VmRSS")
    function()
    return _resident_mebibytes("VmHWM") - resident


def _resident_mebibytes(field: str) -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status does not tell {field}: memory is measured on Linux only")
