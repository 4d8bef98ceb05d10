"""The records office: what is kept how long, what is on hold, what is destroyed, and the proof."""
