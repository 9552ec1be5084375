"""Which addresses are counted together, and how long the next attempt waits."""

import pytest

from services.auth.limits import Bucket, network_of, of_sign_in, wait_seconds


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1", "127.0.0.2", "127.255.3.4", "::1", "::ffff:127.0.0.9"),
        ("203.0.113.1", "203.0.113.254", "::ffff:203.0.113.7"),
        ("2001:db8:1:2300::1", "2001:db8:1:23ff:ffff::1", "2001:DB8:1:2300:0:0:0:9"),
    ],
)
def test_the_addresses_that_one_party_has_many_of_count_as_one(addresses: tuple[str, ...]) -> None:
    assert len({network_of(address) for address in addresses}) == 1


def test_other_networks_count_apart() -> None:
    addresses = ("127.0.0.1", "203.0.113.1", "203.0.112.1", "2001:db8:1:2300::1", "2001:db8:1:2400::1", "", "no address")
    assert len({network_of(address) for address in addresses}) == len(addresses)


def test_each_attempt_beyond_the_free_ones_doubles_the_delay_to_a_minute() -> None:
    bucket = Bucket("a", 10)
    assert [wait_seconds(bucket, count, 0.0) for count in (0, 9, 10, 11, 12, 15, 16, 400)] == [0, 0, 1, 2, 4, 32, 60, 60]
    assert wait_seconds(bucket, 12, 3.5) == 0.5
    assert wait_seconds(bucket, 12, 4.0) == 0


def test_a_sign_in_counts_for_its_name_its_network_and_both_together() -> None:
    here, there = ({bucket.key for bucket in of_sign_in("p", address)} for address in ("203.0.113.1", "198.51.100.1"))
    assert (len(here), len(here & there)) == (3, 1)
