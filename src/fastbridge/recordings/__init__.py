"""Recordings of calls, as files."""
