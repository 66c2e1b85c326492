"""Servo protocols, one file each: bytes to packets and back, pure functions, no I/O."""
