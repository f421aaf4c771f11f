"""Commands for auditors: the journal read, proved and verified."""
