"""The agent: a process on an enrolled device that gives local clients a connection as this device.

    client --- unix socket or loopback --> listening -> proxy
                                                          |
    server <-- TLS, short-lived certificate -- upstream <-+
                                                  ^
    device key (tpm, pkcs11, file) -> certificates, renewed by daemon

`enrolment` creates the device key and enrols it for a person who has just logged in. From then on
`daemon` keeps a client certificate of some minutes: `certificates` sends a fresh posture report
(`posture`) and a signature by the device key, and `upstream` opens connections under the new
certificate. `proxy` forwards the requests of local clients unchanged over them and, when an answer
asks for a touch, waits for it and repeats the request.

The agent relies on core/ for the signed messages and reports, and talks to the server by HTTP
alone; `vault` makes its own few calls.

Invariants: the device key never leaves its place (a TPM, a PKCS#11 token or, ranked below both, a
file). The key of the certificate exists in memory only. The agent holds no token and adds none; it
serves only its own user, over the socket, and clients of this machine, over loopback.
"""
