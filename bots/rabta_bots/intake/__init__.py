"""How events come in: verified, judged, stripped, and stored before they are answered."""
