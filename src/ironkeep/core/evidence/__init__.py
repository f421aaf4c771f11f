"""Evidence: what the journal says of an incident, and the verdict computed from it."""
