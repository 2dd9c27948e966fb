"""Calls and their parties: who rings, talks, is moved or meets in a room."""
