"""The server as somebody's client."""
