"""The e-Office contract as values: events, commands and their signatures. It never talks to anybody."""
