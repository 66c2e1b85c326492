"""Who runs the episodes: processes of this machine, or actors of a cluster."""
