"""The log's side of its witnesses and mirrors (c2sp.org/tlog-witness, c2sp.org/tlog-mirror).

`witnesses.py` asks all configured witnesses, at start-up for what they remember and later for
cosignatures. `peer.py` speaks to one of them, `mirror_upload.py` sends a mirror the leaves that it
lacks, and `http.py` carries both with bounded answers and deadlines.
"""
