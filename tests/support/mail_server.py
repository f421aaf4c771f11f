"""A mail server of some lines: takes mail, or refuses it, and says what it took (RFC 5321)."""

import socket
import ssl
import threading
from types import TracebackType
from typing import Final, Self

_REPLIES: Final = {
    "EHLO": b"250-mail.example\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n",
    "MAIL": b"250 ok\r\n",
    "RCPT": b"250 ok\r\n",
    "AUTH": b"235 ok\r\n",
    "RSET": b"250 ok\r\n",
}


class MailServer:
    """One address on this machine; each connection is served by a thread of its own."""

    def __init__(self, tls: ssl.SSLContext | None = None, refusal: str = "") -> None:
        self._tls: Final = tls
        self._refusal: Final = refusal
        self._listener: Final = socket.create_server(("127.0.0.1", 0))
        self._thread: Final = threading.Thread(target=self._accept, daemon=True)
        self.port: Final[int] = self._listener.getsockname()[1]
        self.mails: Final[list[str]] = []
        self.commands: Final[list[str]] = []

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        # A blocked accept does not wake when its socket is closed, but it does when it is shut.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.sendall(b"220 mail.example\r\n")
        lines = connection.makefile("rb")
        while line := lines.readline():
            command = line.decode().strip()
            verb = command[:4].upper()
            self.commands.append(command)
            if verb == self._refusal:
                connection.sendall(b"550 no\r\n")
            elif verb == "STAR" and self._tls is not None:
                connection.sendall(b"220 go on\r\n")
                try:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                except ssl.SSLError:
                    return
                lines = connection.makefile("rb")
            elif verb == "DATA":
                connection.sendall(b"354 go on\r\n")
                body = iter(lines.readline, b".\r\n")
                self.mails.append(b"".join(body).decode())
                connection.sendall(b"250 ok\r\n")
            elif verb == "QUIT":
                connection.sendall(b"221 bye\r\n")
                connection.close()
                return
            else:
                connection.sendall(_REPLIES.get(verb, b"500 what\r\n"))
