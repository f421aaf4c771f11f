"""The breach replay: a real server, real witnesses and a real database, and every step asserted."""
