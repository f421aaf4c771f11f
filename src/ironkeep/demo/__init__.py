"""The breach replay, told on a terminal and checked at each step."""
