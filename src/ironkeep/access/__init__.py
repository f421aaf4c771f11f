"""Who may ask, from what, and how much: devices, posture, approvals, budgets, segments."""
