"""Listeners: each translates a protocol to control and back."""
