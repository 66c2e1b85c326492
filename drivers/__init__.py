"""The arm on the bench: ports, protocols, bus, calibration, arm, and the virtual servos."""
