"""What runs a site: its event loop, its threads, its process."""
