"""Conformance tools that a user runs against any server."""
