"""WebAuthn: registrations, assertions, and touches for single requests, verified."""
