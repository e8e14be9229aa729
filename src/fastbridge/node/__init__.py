"""One process, or several that share a port: assembled, watched, examined, stopped."""
