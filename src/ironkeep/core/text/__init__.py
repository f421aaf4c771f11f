"""Text and numbers: canonical spelling, safe display, and formats that Vault's clients parse.

`spelling` brings request paths into their canonical form, and `naming` decides which new names are
allowed. `visible` escapes characters of foreign text that a person could not see. `numbers` keeps
the exact spelling of JSON numbers (`number_hook` is its part for msgspec), and `goformat` writes
times and durations as Go does.
"""
