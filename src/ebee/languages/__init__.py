"""Languages: text -> ObjectSpec. None knows a kernel, none knows another."""
