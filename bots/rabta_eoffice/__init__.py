"""The reference e-Office: the other side of the contract, a small web application."""
