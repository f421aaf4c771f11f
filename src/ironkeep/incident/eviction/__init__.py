"""The eviction: contain, rotate what was exposed, sweep for what was left behind."""
