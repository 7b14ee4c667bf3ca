"""Names in bpffs, by which programs, maps and links outlive the process that made them."""

from ebee.pins.pins import open_pin, pin

__all__ = ["open_pin", "pin"]
