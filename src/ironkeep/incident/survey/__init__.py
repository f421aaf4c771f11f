"""The survey: which secrets a principal could have read, asked of what stood in the window.

holdings     the tokens of a principal, with what they granted
grants       the policies that the principal could act with, and when
rules        the same as texts of policies over time: one ruling for each distinct set
catalogue    the paths at which secrets could be read, also of what has been moved or removed
survey       the survey itself: puts them together, and records the links
"""
