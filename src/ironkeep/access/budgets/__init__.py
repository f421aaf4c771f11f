"""Breadth budgets: how many different secrets a person, a device or a team may read."""
