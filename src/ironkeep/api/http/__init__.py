"""HTTP as it arrives: parsing with limits, and the ASGI application."""
