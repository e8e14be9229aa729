"""What every room stands on: time, names of languages and voices, addresses, events as JSON, why a call ended."""
