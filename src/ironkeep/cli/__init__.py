"""The `ironkeep` command: Vault's commands and flags, and Ironkeep's own.

`main.py` holds the table of all commands. It finds the command that was called, loads its module,
runs it, and turns errors into a message and an exit code. A command is a value (`command.py`): a
summary, its flags, examples, and the function that runs it.

    main.COMMANDS -> command.parse -> Command.run -> client/ -> server
                                          |
                                          v
                                       output/ -> stdout, stderr

    client/    the connection to a server: flags, environment, token file, HTTP
    output/    the terminal streams, tables, JSON and YAML
    secrets/ access/ operator/ audit/ incident/    the commands by subject

Most commands only send requests. `server`, `witness` and `agent run` are servers themselves;
`verify`, `audit verify` and `operator new-epoch` work on files without a server.

Invariants: `output/terminal.py` alone writes to the streams, so text from a server never controls
the terminal; secrets are read without echo or from stdin; `exits.py` is the only table of exit
codes; a command loads only the modules that it needs.
"""
