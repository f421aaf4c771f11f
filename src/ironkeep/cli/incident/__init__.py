"""Commands for responders: cases, and the verification of evidence packs."""
