"""A case: its subjects and start, the links between secrets and systems, and the exposure.

`workspace` opens a case for one request, `archive` reads the journal as evidence, `naming` turns
names typed by people into nodes. `cases`, `links`, `documents`, `statements` and `root` write
records; `views` and `next_steps` show what follows from them; `packer` and `proof` sign the
evidence pack. `survey` and `fingerprints` do the two expensive computations: which secrets a
principal could have read, and which stored secrets a leaked text contains.
"""
