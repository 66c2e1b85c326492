"""Which imperfections of a real arm the simulated one has."""

from dataclasses import dataclass, replace

from ...robots.servo import Drive


@dataclass(frozen=True, slots=True, kw_only=True)
class Realism:
    """Which imperfections of the arm are simulated; each can be switched off.

    Attributes:
        backlash: Lost motion of the gearboxes.
        quantisation: Whole encoder ticks.
        dead_zone: Servo dead zone and start force.
        latency: Action and observation delay.
        friction: Coulomb friction in the drives.
    """

    backlash: bool = True
    quantisation: bool = True
    dead_zone: bool = True
    latency: bool = True
    friction: bool = True

    def apply(self, drive: Drive) -> Drive:
        """A drive with the switched-off imperfections set to zero."""
        if not self.backlash:
            drive = replace(drive, backlash=0.0)
        if not self.dead_zone:
            drive = replace(drive, dead_zone_ticks=0.0, start_duty=0.0)
        if not self.friction:
            drive = replace(drive, friction=0.0)
        return drive
