"""The border: carries federation traffic to and from the policy's servers, and to no other."""
