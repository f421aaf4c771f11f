"""Records: encrypted under blind names, executed in transactions, committed with the journal."""
