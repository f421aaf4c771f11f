"""Rows in one SQLite file."""
