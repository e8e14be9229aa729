"""Recordings of calls, as files: made by the node, fetched from the carrier, kept, served and deleted."""
