"""Files of packets: what is written is read, and any bytes give packets or an error, never anything else."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebee.errors import EbeeError
from ebee.packets import FileFormat, Packet, generate, open_writer, read_packets, write_packets

PACKETS = st.builds(
    lambda data, time, link, cut: Packet(data, time, link, len(data) + cut if cut else 0),
    st.binary(max_size=200),
    st.integers(0, (1 << 32) * 1_000_000_000 - 1),
    st.integers(0, 0xFFFF),
    st.integers(0, 2000),
)
ORDERS = st.sampled_from(["little", "big"])


@given(st.lists(PACKETS, max_size=8), ORDERS)
def test_pcapng_keeps_packets(packets: list[Packet], order: str) -> None:
    """All of them, with all they have."""
    assert through(packets, FileFormat("pcapng", byte_order=order)) == packets


@given(st.lists(PACKETS, max_size=8), ORDERS, st.booleans(), st.integers(0, 0xFFFF))
def test_pcap_keeps_packets(packets: list[Packet], order: str, ns: bool, link: int) -> None:
    """Times to the unit of the file."""
    unit = 1 if ns else 1000
    packets = [
        packet._replace(link_type=link, timestamp_ns=packet.timestamp_ns // unit * unit) for packet in packets
    ]
    assert through(packets, FileFormat("pcap", byte_order=order, nanoseconds=ns)) == packets


@given(st.lists(st.binary(min_size=1, max_size=99), max_size=8))
def test_hex_keeps_bytes(datas: list[bytes]) -> None:
    """One line for each."""
    packets = [Packet(data) for data in datas]
    assert through(packets, FileFormat("hex")) == packets


def through(packets: list[Packet], kind: FileFormat) -> list[Packet]:
    """Write packets and read them again."""
    out = io.BytesIO()
    with open_writer(out, kind) as writer:
        for packet in packets:
            writer.write(packet)
    out.seek(0)
    return list(read_packets(out))


def error_xor_packets(data: bytes) -> None:
    """Read a file to its end, or to an error of one line with something to do."""
    said = None
    try:
        for packet in read_packets(io.BytesIO(data)):
            assert isinstance(packet.data, bytes)
            assert len(packet.data) <= packet.wire_bytes
    except EbeeError as error:
        said = error
    assert said is None or ("\n" not in str(said) and said.hint)


BEGINS = [
    b"",
    b"\xd4\xc3\xb2\xa1\2\0\4\0" + bytes(8) + b"\xff\xff\0\0\1\0\0\0",
    b"\xa1\xb2\x3c\x4d\0\2\0\4" + bytes(16),
    b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\1\0\0\0" + b"\xff" * 8 + b"\x1c\0\0\0",
    b"00000000  ",
]


@given(st.sampled_from(BEGINS), st.binary(max_size=120))
def test_any_bytes_give_packets_or_an_error(begin: bytes, rest: bytes) -> None:
    """After a good begin or none."""
    error_xor_packets(begin + rest)


@given(st.text(alphabet="0123456789abcdef x:*#|\n\\", max_size=120))
def test_any_text_gives_packets_or_an_error(text: str) -> None:
    """Of those letters that dumps have."""
    error_xor_packets(text.encode())


@pytest.mark.parametrize("kind", ["pcap", "pcapng", "hex"])
@given(data=st.data())
def test_a_damaged_file_gives_packets_or_an_error(kind: str, data: st.DataObject) -> None:
    """Some bytes of a good file changed, left out or put in."""
    out = io.BytesIO()
    write_packets(out, generate(4), kind)
    damaged = bytearray(out.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        length = data.draw(st.integers(0, 3))
        damaged[place : place + length] = data.draw(st.binary(max_size=4))
    error_xor_packets(bytes(damaged))
