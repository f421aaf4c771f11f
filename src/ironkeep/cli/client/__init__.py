"""The commands' connection to a server.

`connection.py` reads the address, TLS settings and token from flags, environment and
`tokenfile.py`; `client.py` sends the requests. `inputs.py` builds request data from arguments,
files and stdin. `loopback.py` receives the code of a login in the browser.
"""
