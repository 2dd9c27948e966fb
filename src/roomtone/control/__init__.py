"""Orchestration in async functions over the façade: no sockets, no web framework."""
