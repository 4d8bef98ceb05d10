"""Cards: what an officer sees of an event, in English or Urdu, complete as plain text."""
