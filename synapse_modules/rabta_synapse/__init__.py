"""The door: translates between Synapse's module API and the judge. It never decides by itself."""
