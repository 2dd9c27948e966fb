"""Command line, wiring, order of start and stop."""
