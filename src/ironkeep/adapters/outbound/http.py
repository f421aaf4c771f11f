"""HTTP to other systems, with bounded answers and without redirects.

Implements the port of plugin/effects/outbound.py.
"""

from typing import Final

import httpx

from ironkeep.adapters.outbound import tls
from ironkeep.adapters.outbound.causes import cause
from ironkeep.adapters.outbound.deadline import DeadlineTransport
from ironkeep.core.errors import InvalidRequest, UpstreamFailed

OPERATION_SECONDS: Final = 3.0
"""Limit of connecting, writing and each wait; `adapters.outbound.deadline` bounds the whole."""


class HttpOutbound:
    """Fetches documents. It takes no proxy and no certificate from the environment."""

    def get(self, url: str, ca_pem: str, limit: int) -> bytes:
        """Return the body at url; see plugin.effects.outbound.Outbound."""
        headers = {"Accept-Encoding": "identity", "User-Agent": "ironkeep"}
        try:
            with httpx.Client(
                timeout=OPERATION_SECONDS,
                transport=DeadlineTransport(tls.context(ca_pem=ca_pem)),
                trust_env=False,
                follow_redirects=False,
                headers=headers,
            ) as client:
                return _read(client, url, limit)
        except (httpx.HTTPError, httpx.InvalidURL, InvalidRequest, OSError) as error:
            raise UpstreamFailed(f"unreachable: {cause(error)}") from None


def _read(client: httpx.Client, url: str, limit: int) -> bytes:
    body = b""
    with client.stream("GET", url) as response:
        if response.status_code != httpx.codes.OK:
            raise UpstreamFailed(f"answered {response.status_code}")
        # Raw: no compression was requested, so a compressed answer is not unpacked either.
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > limit:
                raise UpstreamFailed("the answer is too long")
    return body
