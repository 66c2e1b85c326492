"""Make `stage.py` importable for the tests beside it: in pytest's import mode "importlib" no folder is on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
