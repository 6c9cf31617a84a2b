import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import torch

allowed = {"torch", "perceiver_io", *sys.stdlib_module_names}


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed:
            raise AssertionError(f"perceiver_io imported {name}")


sys.meta_path.insert(0, Refuse())
import perceiver_io

import perceiver_io.checkpoint, perceiver_io.huggingface, perceiver_io.inputs, perceiver_io.queries, perceiver_io.tasks

config = perceiver_io.EntityTorsoConfig(entity_channels=8, output_channels=None)
output = perceiver_io.EntityTorso(config)(torch.zeros(2, 3, 8), torch.ones(2, 3, dtype=torch.bool))
sum(tensor.sum() for tensor in output).backward()
assert all(hasattr(perceiver_io, name) for name in perceiver_io.__all__)
print("torch only")
"""


def test_needs_torch_and_nothing_else():
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.stdout.strip() == "torch only", result.stderr
