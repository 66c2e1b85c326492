"""Pictures of what is in a cell, without a display: by numpy, or by GL."""
