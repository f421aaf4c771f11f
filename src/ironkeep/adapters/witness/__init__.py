"""The log's side of its witnesses and mirrors."""
