"""Text and numbers: their spelling, and how they are shown."""
