"""Commands for operators: servers, witnesses, seals and keys."""
