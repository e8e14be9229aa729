"""fastbridge.base.addresses: what is an address, and what is a network."""

import pytest

from fastbridge.base.addresses import address_of, networks


@pytest.mark.parametrize(("text", "found"), [("", None), ("x", None), ("1.2.3", None), ("fe80::1%eth0", "fe80::1")])
def test_addresses(text, found):
    address = address_of(text)
    assert (str(address) if address else None) == found


def test_networks():
    assert [str(network) for network in networks("10.0.0.1, 10.2.3.4/8,,::1")] == [
        "10.0.0.1/32",
        "10.0.0.0/8",
        "::1/128",
    ]
    with pytest.raises(ValueError, match="nonsense"):
        networks("10.0.0.1, nonsense")
