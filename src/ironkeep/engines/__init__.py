"""The secrets engines this build offers: adding one is one room and one line in app.py's table."""
