"""The package pydobot against a port; run as a program: python pydobot_client.py PORT."""

import sys

from pydobot import Dobot


def main(port):
    """Read the pose, move there and back, use the tools."""
    dobot = Dobot(port=port)
    x, y, z, r = dobot.pose()[:4]
    dobot.move_to(x - 30, y + 40, z - 10, r, wait=True)
    assert all(abs(a - b) < 0.5 for a, b in zip(dobot.pose()[:3], (x - 30, y + 40, z - 10), strict=True))
    dobot.suck(True)
    dobot.grip(True)
    dobot.speed(50, 50)
    dobot.move_to(x, y, z, r, wait=True)
    assert all(abs(a - b) < 0.5 for a, b in zip(dobot.pose()[:3], (x, y, z), strict=True))
    dobot.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
