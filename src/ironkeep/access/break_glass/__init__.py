"""Break-glass: a token of last resort, opened by codes that k of n people hold."""
