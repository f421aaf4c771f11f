"""Rows in one SQLite file: the port `core.ports.Storage`.

`storage.py` reads and commits, `schema.py` creates and migrates the tables, and `files.py` handles
the lock, the folder and the files around the database.
"""
