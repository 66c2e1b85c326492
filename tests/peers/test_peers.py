"""Other people's clients, unmodified, drive our twins over pty; they live in an environment of their own.

`make peers` builds it; without it these tests are skipped. Their programs are in `clients/`.
"""

import os
import subprocess
from pathlib import Path

import pytest

from genba.drivers.virtual.process import TwinProcess

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".peers" / "bin" / "python"
CLIENTS = Path(__file__).parent / "clients"
PATIENCE = 300.0  # s, for imports on a busy machine
pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo terminals"),
    pytest.mark.skipif(not PYTHON.exists(), reason="make peers builds their environment"),
]


@pytest.mark.parametrize(
    ("twin", "program"),
    [
        (["--robot", "so101"], ["lerobot_bus.py", "feetech"]),
        (["--robot", "koch"], ["lerobot_bus.py", "dynamixel"]),
        (["--robot", "so101"], ["st3215_client.py"]),
        (["--controller", "dobot"], ["pydobot_client.py"]),
        (["--controller", "marlin"], ["marlin_host_client.py"]),
    ],
    ids=["lerobot feetech", "lerobot dynamixel", "st3215", "pydobot", "marlin-host"],
)
def test_a_client_is_served_unchanged(twin: list[str], program: list[str]) -> None:
    with TwinProcess((*twin, "--serve", "pty"), command=("-m", "genba.drivers.virtual.serve")) as served:
        name, *words = program
        run = subprocess.run(
            [str(PYTHON), str(CLIENTS / name), *words, served.port],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert run.returncode == 0, run.stdout + run.stderr
