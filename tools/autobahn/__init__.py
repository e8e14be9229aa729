"""The Autobahn test suite against both our sockets: `make autobahn`."""
