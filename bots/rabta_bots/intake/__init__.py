"""How events of e-Office come in: verified, judged, stripped and stored before they are answered."""
