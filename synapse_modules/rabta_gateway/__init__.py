"""The border: carries federation traffic to and from the servers the signed policy names, and to no other."""
