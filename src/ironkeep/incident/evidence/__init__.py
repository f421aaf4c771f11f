"""The server's own log as evidence: for verdicts made here, and in the form that a pack discloses.

`gathering` and `excerpt` have the questions to the journal, which run where the log is only read.
`brief`, `readable` and `views`, with the table of `next_steps`, are further answers of theirs.
`archive` asks them for one request. `packer` computes a verdict from an excerpt and signs both.
"""
