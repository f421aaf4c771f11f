"""Each way in which an eviction may not be proved, as one small function of the case file."""
