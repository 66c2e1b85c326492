"""What people look at: pages, plots, clips, progress."""
