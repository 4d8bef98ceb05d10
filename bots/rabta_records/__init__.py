"""The archiver: an account that everybody in a room sees, which keeps the room's record."""
