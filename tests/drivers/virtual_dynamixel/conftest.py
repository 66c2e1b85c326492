"""One servo of each family on a line, which answer without delay."""

import pytest

from genba.drivers.virtual.line import VirtualLine
from genba.robots.description import RobotDescription


@pytest.fixture(scope="session")
def robot(every_model: RobotDescription) -> RobotDescription:
    return every_model


@pytest.fixture(autouse=True)
def _no_delay(line: VirtualLine) -> None:
    for servo in line.servos:
        servo._set("return_delay", 0)
