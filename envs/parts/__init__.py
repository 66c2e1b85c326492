"""What stands and lies in cells, and several tasks share."""
