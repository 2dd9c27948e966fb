"""Roomtone: one media server for phone calls, browser rooms and live streams."""
