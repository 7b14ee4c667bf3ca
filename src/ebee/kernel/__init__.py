"""The door to a kernel: its protocol, the live kernel behind it, and what its errors mean."""
