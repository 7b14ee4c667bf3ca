"""Sessions: text -> a running program -> what it says. One file per language."""
