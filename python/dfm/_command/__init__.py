"""What the command `dfm` has Python do."""
