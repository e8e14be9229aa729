"""Calls out: placed by whoever has a key, watched to their end."""
