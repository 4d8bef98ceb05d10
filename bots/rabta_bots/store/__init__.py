"""The bridge's durable memory: what came, what must go out, who holds what, what was decided."""
