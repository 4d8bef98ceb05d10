"""The bridge: carries e-Office events into encrypted rooms and decisions back."""
