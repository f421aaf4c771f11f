"""What an engine, an auth method or a feature is written against."""
