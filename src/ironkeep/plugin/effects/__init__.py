"""Effects: slow work on other systems, recorded before it begins and resumed after a crash.

`effects` runs operations as generators: each stores its intent, yields work for a worker thread,
and stores the outcome. A request can wait for an operation (`run`); the tick starts the operations
whose records are due. `answer` defines the two ways in which execution ends: `Answer`, ready to be
sent, or `Waiting` for work. `expiring` removes records after their time, `outbound` is the port for
fetching documents. `questions` to the journal are answered by another process, and `readings` count
what a search or a follower gets in several requests.
"""
