"""`genba doctor`: what about this computer would keep an arm from running well, and how to mend it."""

import argparse


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Look over this computer: Python, packages, clock, processor, ports, calibrations."""
    from ...robots.catalogue import load_robot
    from .. import doctor
    from ..port_info import list_port_info

    findings = [
        *doctor.check_python(),
        *doctor.check_packages(),
        *doctor.check_opencv(),
        *doctor.check_clock(),
        *doctor.check_cpu(),
        *doctor.check_ports(list_port_info(), options.port),
        *doctor.check_calibrations(),
    ]
    if options.port:
        findings += doctor.check_unit(load_robot(options.robot), options.port)
    code = 4 if any(finding.level == "fault" for finding in findings) else 0
    if options.json:
        return doctor.as_report(findings), code
    lines = []
    for finding in findings:
        lines.append(f"{finding.level:<8} {finding.name}: {finding.text}")
        if finding.cure:
            lines.append(f"{'':<8} mend it with: {finding.cure}")
    return "\n".join(lines), code


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    parser.add_argument("--port", help="the arm's port, which must be there")
    parser.add_argument("--robot", default="so101", help="the arm on that port; so101 if not given")
    parser.add_argument("--json", action="store_true", help="print JSON")
