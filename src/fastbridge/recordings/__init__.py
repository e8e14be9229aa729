"""Recordings of calls in a store of the operator's: kept, served and deleted."""

from importlib.util import find_spec

from fastbridge.errors import NotInstalledError

if find_spec("obstore") is None or find_spec("itsdangerous") is None:
    raise NotInstalledError("The store of recordings is not installed: pip install 'fastbridge[recordings]'.")
