"""The arm in simulation: cell, simulated arm, parts, tasks and the Gymnasium face."""
