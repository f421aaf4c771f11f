"""A vault, the systems behind it, and an attacker, played from a list of steps with a known truth.

    cluster     database servers in memory, behind the connector's contract
    world       the real vault over memory ports, its people, and what the attacker holds
    attack      steps of the attacker
    events      steps of administrators, applications, clocks and faults
    response    steps of the responders
    story       a list of steps as text, and how it is played
    truth       what the attacker can still do, found by trying it

The truth does not use the evidence of a case: it presents each value that the attacker saw to the
vault and to every server.
"""
