"""What officers write back: read, judged, confirmed, and carried to e-Office once."""
