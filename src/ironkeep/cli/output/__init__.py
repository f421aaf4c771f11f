"""The output of commands, and the input of secrets.

`terminal.py` owns the three streams and the input of secrets. `render.py` prints answers as tables,
as documents (`documents.py`) or as one field. `pretty.py`, `colours.py` and `progress.py` serve
interactive terminals; `log_file.py` adds the option of the commands that keep running.
"""
