"""Demonstrations on disk, as datasets of the format LeRobot v3 that genba writes, reads back and trains on."""
