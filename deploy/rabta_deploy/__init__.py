"""The yard: the `rabta` command line, the runner and the demo network."""
