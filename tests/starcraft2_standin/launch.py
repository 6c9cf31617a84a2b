"""What an installation's SC2_x64 runs: `python launch.py INSTALLATION [the game's arguments]`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path[:1] = [str(Path(__file__).resolve().parent.parent)]

if __name__ == "__main__":
    from starcraft2_standin import server

    sys.exit(server.run(sys.argv[2:], Path(sys.argv[1])))
