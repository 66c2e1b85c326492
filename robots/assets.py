"""Where URDFs and textures are."""

from importlib.resources import files
from pathlib import Path


def asset_root() -> Path:
    """Folder that holds URDFs and textures."""
    return Path(str(files(__package__))).parent / "sim_assets"
