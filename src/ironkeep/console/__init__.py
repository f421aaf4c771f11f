"""The console: the pages under /ui/ for tasks that need a browser.

    /ui/register        register a passkey with a ticket
    /ui/login           sign in, or hand a login to a command on the same machine
    /ui/approvals       read, approve and deny approval requests
    /ui/step-up/<id>    allow one request with a touch

`pages` serves the packaged files in static/ with their security headers. The pages hold no state:
their scripts call the same API under /v1/ as every other client. ironkeep.js has the API calls and
WebAuthn, session.js the sign-in; each page has one script of its own.

Invariants: a token lives only in a variable of one open page, never in a cookie or in the browser's
storage, and it is revoked when the page is left. No text from the server becomes markup. A touch is
given only for a challenge that is the hash of the text on the page.
"""
