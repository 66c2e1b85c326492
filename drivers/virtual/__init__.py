"""Virtual servos: the devices of the bench without the bench, exact at register level."""
