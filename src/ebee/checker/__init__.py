"""A small static check of a program before the userspace machine runs it."""
