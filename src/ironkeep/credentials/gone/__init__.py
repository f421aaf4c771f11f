"""Secrets that are gone, and when they could be read: for cases that open afterwards.

spans     the times of versions, few for each secret
removed   the record of removals, bounded for each mount
"""
