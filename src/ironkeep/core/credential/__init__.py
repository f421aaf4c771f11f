"""Outside credentials: the connector's contract, inventories, and the rotation state machine."""
