"""The HTTP side of a witness or mirror (c2sp.org/tlog-witness, c2sp.org/tlog-mirror)."""
