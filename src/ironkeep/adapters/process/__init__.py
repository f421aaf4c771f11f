"""The process and its machine: memory, limits, signals, disks, operator messages."""
