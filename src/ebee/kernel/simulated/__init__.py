"""A kernel that answers from the userspace machine."""
