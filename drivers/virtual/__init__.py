"""Virtual servos: exact to the byte on the wire, with a physical plant behind them."""
