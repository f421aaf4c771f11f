"""Step-up: one touch of a person's authenticator for exactly one request.

`authenticators.py` keeps every authenticator that was ever bound to a person and verifies their
signatures. `step_ups.py` keeps the demands for a touch: each names one request of one session,
lives a minute, and is used up by that request. guards.py asks for touches on reads of secrets;
`fresh_touch.py` is for handlers that ask for one themselves. The signed statement and its later
verification are core/webauthn/step_up.py.
"""
