"""`genba ports`: which serial ports there are, and which one is the arm's."""

import argparse
import sys

from ...robots.table import as_columns, as_json
from . import _options


def run(options: argparse.Namespace) -> tuple[str, int]:
    """List serial ports: adapter, unit, who holds them, and what to mend first."""
    from ..port_info import await_cable, list_port_info
    from ..ports import port_names

    before = list_port_info()
    if options.unplug:
        sys.stderr.write(f"genba: pull the arm's USB cable now, or plug it in; waiting {options.wait:g} s\n")
        happened, names = await_cable(port_names, options.wait)
        known = {info.port: info for info in (*before, *list_port_info())}
        chosen = [known[name] for name in names if name in known]
        if options.json:
            return as_json({"happened": happened, "ports": [info.to_json() for info in chosen]}), 0
        return "\n".join(f"{happened}: {info.by_id or info.port} ({info.adapter or 'no name'})" for info in chosen), 0
    if options.json:
        return as_json([info.to_json() for info in before]), 0
    rows = [
        {
            "port": info.port,
            "adapter": info.adapter,
            "usb": info.usb_id,
            "unit": info.unit,
            "held by": ", ".join(info.held_by) or None,
        }
        for info in before
    ]
    more = [f"{info.port} always: {info.by_id}" for info in before if info.by_id]
    cures = [f"{trouble}: {cure}" for info in before for trouble, cure in info.cures]
    return "\n".join([as_columns(rows), *more, *cures]), 0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    parser.add_argument("--unplug", action="store_true", help="tell the arm's port by pulling its cable")
    parser.add_argument(
        "--wait", type=_options.seconds, default=30.0, metavar="SECONDS", help="for the cable; 30 if not given"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
