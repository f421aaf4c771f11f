"""The survey: which secrets a principal could have read, asked of what stood in the window.

grants       the policies that the principal could act with, and when
rules        the same as texts of policies over time: one ruling for each distinct set
catalogue    the paths at which secrets could be read, also of what has been moved or removed
readable     the worker's part: which paths each ruling lets its holder read
survey       the survey itself: puts them together, and records the links
"""
