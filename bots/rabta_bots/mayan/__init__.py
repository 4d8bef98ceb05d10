"""Mayan EDMS as an e-Office: a document workflow behind the same interfaces as any other.

Mayan is a separate program (GPL-2.0); it is spoken to over its REST interface alone, and nothing
of it is here.
"""
