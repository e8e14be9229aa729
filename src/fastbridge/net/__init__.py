"""The public port below the carrier's protocol: connections, requests, processes that share them."""
