"""Packets from files and into files: pcap, pcapng, hex; packets that are made."""
