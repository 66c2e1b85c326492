"""`genba pack`: one file of a training run."""

import argparse
from pathlib import Path


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Make one policy bundle of a training run."""
    from ..pack import pack as work

    out = options.output or Path(f"{options.run.resolve().name}.genba")
    bundle = work(options.run, out)
    manifest = bundle.manifest
    return f"{out}: {manifest.task.name} on {manifest.robot.name}, differs from torch by {bundle.verify():.1g}", 0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="folder that `genba train` made")
    parser.add_argument("-o", "--output", type=Path, help="the bundle; RUN.genba here if not given")
