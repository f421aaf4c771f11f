"""Answers that wait: for the disk, for worker threads, for outside systems."""
