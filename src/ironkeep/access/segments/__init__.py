"""Segments: which may ask which, how far each reaches, and how one is rebuilt."""
