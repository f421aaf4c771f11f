"""What commands print: tables, documents, colours, progress."""
