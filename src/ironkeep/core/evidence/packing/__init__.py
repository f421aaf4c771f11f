"""The file formats of proofs: in-toto statements about a case in signed DSSE envelopes.

`dsse` reads and writes envelopes, `pack` the statement of a case with its evidence and its
conclusions.
"""
