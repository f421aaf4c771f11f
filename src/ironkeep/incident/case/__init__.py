"""A case: its subjects and start, the links between secrets and systems, and the exposure.

`workspace` opens a case for one request, `naming` turns names typed by people into nodes. `cases`,
`links`, `documents`, `statements` and `root` write records; `views` shows what follows from them;
`proof` answers with the evidence pack, `reads` with a proof of the reads of a secret.
`fingerprints` computes which stored secrets a leaked text contains; `guesses` limits such
questions.
"""
