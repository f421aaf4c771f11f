"""Commands about access: logins, tokens, policies, approvals, segments and the device agent.

Each file holds the commands of one subject. `passkey.py` is loaded only for a passkey login, and
`agent.py` runs the agent's own server.
"""
