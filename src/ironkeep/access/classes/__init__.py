"""Secret classes: what reading a secret takes beyond policy."""
