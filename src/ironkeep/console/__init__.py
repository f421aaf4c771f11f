"""The pages for what only a browser can do: passkeys, step-up, approvals."""
