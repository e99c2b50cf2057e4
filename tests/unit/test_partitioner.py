"""The partitioner is the Java client's."""

import pytest

from topology.partitioner import murmur2, partition_of

# From Kafka's own UtilsTest.testMurmur2; signed there.
_JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("key", _JAVA)
def test_it_hashes_as_kafka_does(key):
    assert murmur2(key) == _JAVA[key] & 0xFFFFFFFF


def test_a_partition_is_the_positive_hash_modulo():
    assert partition_of(b"21", 8) == (-973932308 & 0x7FFFFFFF) % 8
