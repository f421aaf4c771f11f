"""Segments: the API of segments, the flow matrix between them, and what each can reach.

seal/segments.py stores a segment and seal/segment_keys.py holds its keys; here is what goes beyond
them. `routes.py` makes, opens, seals, cuts off and destroys segments. `flow_table.py` keeps the
flow matrix, and the pipeline asks it on every request whether the caller may use the segment of the
mount; `flow_routes.py` is its API. `reach.py` computes whether anybody of one segment can reach
another. `rebuild.py` rotates the credentials in a segment after a loss.
"""
