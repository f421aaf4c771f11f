"""`ironkeep incident`: work on a case, from the first suspicion to the proof of eviction."""

import argparse
import hashlib
import http
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from ironkeep.cli.client.client import Reply, connect
from ironkeep.cli.command import Command, Context, Group
from ironkeep.cli.exits import OK
from ironkeep.cli.failures import NoValue
from ironkeep.cli.incident import tables as view, verdict_table as verdict_view
from ironkeep.cli.output import render
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.errors import TooLarge

MAX_DOCUMENT: Final = 1 << 20
"""Bytes of a document: the server compares no more in one request."""

Show = Callable[[Terminal, Mapping[str, Any]], None]
Arguments = Callable[[argparse.ArgumentParser], None]

_OPTIONS: Final = {
    "title": "a short title without secrets",
    "start": "earliest possible compromise: RFC 3339, or a duration ago (36h)",
    "basis": "evidence for the start, or for the change",
    "as_of": "time of the verdict: RFC 3339, or a duration ago",
    "principal": "one exposed principal, role:auth/MOUNT/NAME, segment:NAME or window:FROM/UNTIL; "
    "default: all exposed principals",
    "secret": "only this exposed credential: mount/path or mount/path@version",
    "system": "only this exposed system; default: all",
    "method": "how a credential that is not managed here was revoked",
    "receipt": "its issuer's confirmation of that",
    "replacement": "its new version",
    "reason": "the reason",
    "owner": "the person responsible for the decision; default: you",
    "ttl": "time until it expires, such as 720h",
    "detail": "what was checked, and the result",
}

_OUTSIDE: Final = frozenset({"rotate", "kill", "probe", "sweep"})
"""Steps that wait for other systems: seconds for each, and half a minute for one that hangs."""
_ASKING: Final = "Asking the exposed systems; one that does not answer takes up to half a minute."

_TRIES: Final = 10
_WAIT_SECONDS: Final = 0.5


def _write(path: str, names: tuple[str, ...], show: Show) -> Callable[[Context], int]:
    """Return a function that writes the named arguments to a path of the case."""

    def run(context: Context) -> int:
        args = context.args
        data = _given(args, names)
        if path.rpartition("/")[2] in _OUTSIDE and context.terminal.watched:
            context.terminal.note(_ASKING)
        document = connect(context).write(f"incident/{path.format(case=args.case)}", data)
        return _answer(context.terminal, document, show)

    return run


def _read(path: str, names: tuple[str, ...], show: Show) -> Callable[[Context], int]:
    """Return a function that reads a path of the case with the named arguments as its query."""

    def run(context: Context) -> int:
        args = context.args
        query = _given(args, names)
        document = connect(context).read(f"incident/{path.format(case=args.case)}", query)
        return _answer(context.terminal, document, show)

    return run


def _given(args: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the named arguments that are not empty."""
    return {name: getattr(args, name) for name in names if getattr(args, name)}


def _answer(terminal: Terminal, document: Mapping[str, Any] | None, show: Show) -> int:
    if document is None:
        raise NoValue("there is no such case")
    if terminal.structured or terminal.field:
        return render.answer(terminal, document, "")
    render.warn(terminal, document)
    show(terminal, document["data"])
    return OK


def _open(context: Context) -> int:
    args, terminal = context.args, context.terminal
    names = ("title", "start", "basis", "subjects")
    data = {name: getattr(args, name) for name in names}
    client = connect(context)
    document = client.write("incident/cases", data)
    if document is None or not args.contain:
        return _answer(terminal, document, view.case)
    number = document["data"]["id"]
    whole = terminal.structured or bool(terminal.field)
    if whole:
        # Should containing fail, the number of the case would not be told otherwise.
        terminal.note(f"case {number} is open")
    else:
        _answer(terminal, document, view.case)
    contained = client.write(f"incident/cases/{number}/contain")
    if whole and contained is not None:
        contained = {**contained, "data": {**document["data"], **contained["data"]}}
    return _answer(terminal, contained, view.rows)


def _list(context: Context) -> int:
    document = connect(context).list("incident/cases/")
    if document is None:
        if context.terminal.structured:
            render.as_json(context.terminal, [])
        raise NoValue("there are no cases")
    return _answer(context.terminal, document, view.cases)


def _verdict(context: Context) -> int:
    args = context.args
    query = {"as_of": args.as_of} if args.as_of else {}
    document = connect(context).read(f"incident/cases/{args.case}/verdict", query)
    _answer(context.terminal, document, verdict_view.show)
    assert document is not None
    data = document["data"]
    return verdict_view.exit_code(data["outcome"], past=data["past"])


def _check_root(context: Context) -> int:
    args = context.args
    data = {"item": args.item, "sound": not args.unsound, "detail": args.detail}
    document = connect(context).write(f"incident/cases/{args.case}/check-root", data)
    return _answer(context.terminal, document, render.pairs)


def _pack(context: Context) -> int:
    args = context.args
    query = {"as_of": args.as_of} if args.as_of else {}
    reply = _fetch(context, f"incident/cases/{args.case}/pack", query)
    return _saved(context, reply, Path(args.out or f"case-{args.case}.pack"))


def _did_read(context: Context) -> int:
    args = context.args
    query = {"secret": args.secret, "start": args.start}
    if args.removed:
        query["removed"] = "true"
    reply = _fetch(context, "incident/did-read", query)
    return _saved(context, reply, Path(args.out or "did-read.pack"))


def _saved(context: Context, reply: Reply, out: Path) -> int:
    """Write a signed answer to a file, and say how to check it."""
    if reply.status != http.HTTPStatus.OK:
        raise NoValue("; ".join(_errors(reply) or ["there is no such case"]))
    _keep(out, reply.body)
    size = len(reply.body)
    if context.terminal.structured:
        return render.as_json(context.terminal, {"file": str(out), "bytes": size})
    context.terminal.say(f"{out}: {size} bytes. Check it with `ironkeep verify {out} -trust=…`")
    return OK


def _fetch(context: Context, path: str, query: Mapping[str, str]) -> Reply:
    """Return the answer once a checkpoint covers it: the server signs about one a second."""
    client = connect(context)
    reply = client.send("GET", path, query=query)
    for _ in range(_TRIES):
        if not any("checkpoint" in error for error in _errors(reply)):
            break
        time.sleep(_WAIT_SECONDS)
        reply = client.send("GET", path, query=query)
    return reply


def _errors(reply: Reply) -> list[str]:
    if reply.status == http.HTTPStatus.OK:
        return []
    return list((reply.document or {}).get("errors") or [])


def _trust(context: Context) -> int:
    document = connect(context).read("incident/trust")
    assert document is not None
    text = document["data"]["trust"]
    if context.args.out:
        _keep(Path(context.args.out), text.encode())
    else:
        render.value(context.terminal, text)
    return OK


def _keep(path: Path, data: bytes) -> None:
    """Write a file with mode 0600, because a pack discloses who read which secrets."""
    path.touch(mode=0o600)
    path.write_bytes(data)


def _document(context: Context) -> int:
    args = context.args
    content = b64encode(_bytes(Path(args.file))).decode()
    data = {"name": args.name or Path(args.file).name, "content": content}
    document = connect(context).write("incident/documents", data)
    return _answer(context.terminal, document, view.document)


def _copy(context: Context) -> int:
    args = context.args
    digests = [hashlib.sha256(_bytes(Path(file))).hexdigest() for file in args.files]
    data = {"name": args.name, "sha256": digests, "wraps": args.wraps, "opened_by": args.opened_by}
    document = connect(context).write("incident/documents/registered", data)
    return _answer(context.terminal, document, render.pairs)


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_DOCUMENT + 1)
    if len(data) > MAX_DOCUMENT:
        raise TooLarge(f"{path} is larger than {MAX_DOCUMENT} bytes: submit it in parts")
    return data


def _flags(*names: str, need: tuple[str, ...] = (), item: str = "", case: bool = True) -> Arguments:
    """Return a function that adds CASE, an optional further argument, and flags by name."""

    def add(parser: argparse.ArgumentParser) -> None:
        if case:
            parser.add_argument("case", metavar="CASE")
        if item:
            parser.add_argument(item, metavar=item.upper())
        for name in names:
            parser.add_argument(
                f"--{name.replace('_', '-')}",
                dest=name,
                metavar="TEXT",
                required=name in need,
                help=_OPTIONS[name],
            )

    return add


def _opening(parser: argparse.ArgumentParser) -> None:
    _flags("title", "start", "basis", need=("title", "start", "basis"), case=False)(parser)
    parser.add_argument("--contain", action="store_true", help="revoke their access at once")
    parser.add_argument("subjects", metavar="SUBJECT", nargs="+")


def _widening(parser: argparse.ArgumentParser) -> None:
    _flags("start", "basis", need=("basis",))(parser)
    parser.add_argument("subjects", metavar="SUBJECT", nargs="*")


def _confirming(parser: argparse.ArgumentParser) -> None:
    _flags()(parser)
    parser.add_argument("items", metavar="ENTRY", nargs="+", help="a statement: entry:17")


def _checking(parser: argparse.ArgumentParser) -> None:
    _flags("detail", item="item")(parser)
    parser.add_argument("--unsound", action="store_true", help="the check found a problem")


def _packing(parser: argparse.ArgumentParser) -> None:
    _flags("as_of")(parser)
    _out(parser)


def _reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("secret", metavar="SECRET", help="mount/path, or mount/path@version")
    parser.add_argument("--start", metavar="TIME", required=True, help="RFC 3339, or a time ago")
    parser.add_argument(
        "--removed", action="store_true", help="it was removed before this log (new epoch) began"
    )
    _out(parser)


def _out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="FILE", help="file to write, readable by you only")


def _submission(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE")
    parser.add_argument(
        "--name", metavar="TEXT", help="name of the document; default: the file's name"
    )


def _registration(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("files", metavar="FILE", nargs="+", help="the ciphertext, or its parts")
    add("--name", metavar="TEXT", required=True, help="name of the copy")
    add("--wraps", metavar="SECRET", required=True, help="the secret inside: mount/path@version")
    add("--opened-by", metavar="SECRET", action="append", required=True, help="its decryption key")


def _on_case(
    summary: str, path: str, names: tuple[str, ...], show: Show, arguments: Arguments, usage: str
) -> Command:
    return Command(summary, _write(path, names, show), usage, "", arguments)


INCIDENT: Final = Group(
    "Cases: exposure, eviction, proof",
    {
        "open": Command(
            "Open a case about people, tokens, devices, documents or secrets.", _open,
            "-title=… -start=… -basis=… [-contain] SUBJECT...",
            "  $ ironkeep incident open -title='laptop fell' -start=2026-08-12T00:00:00Z \\\n"
            "      -basis='last good image' person:jo document:leak.txt",
            _opening,
        ),
        "list": Command("List the cases.", _list),
        "show": Command("Show a summary of a case.", _read("cases/{case}", (), view.case),
                        "CASE", "", _flags()),
        "widen": _on_case("Add subjects, or set an earlier start.", "cases/{case}/widen",
                          ("subjects", "start", "basis"), view.case, _widening,
                          "CASE -basis=… [-start=…] [SUBJECT...]"),
        "exposure": Command("Show what was read, could have been read, could have been reached.",
                            _read("cases/{case}/exposure", ("as_of",), view.exposure),
                            "CASE", "", _flags("as_of")),
        "steps": Command("Show the next steps.", _read("cases/{case}/steps", (), view.steps),
                         "CASE", "", _flags()),
        "contain": _on_case("Revoke the access of exposed principals.", "cases/{case}/contain",
                            ("principal",), view.rows, _flags("principal"), "CASE"),
        "rotate": _on_case("Replace exposed credentials, or report one replaced by hand.",
                           "cases/{case}/rotate",
                           ("secret", "system", "method", "receipt", "replacement"), view.rows,
                           _flags("secret", "system", "method", "receipt", "replacement"), "CASE"),
        "kill": _on_case("End sessions opened with revoked credentials.", "cases/{case}/kill",
                         ("secret",), view.rows, _flags("secret"), "CASE"),
        "probe": _on_case("Present revoked credentials to their verifiers.", "cases/{case}/probe",
                          ("secret",), view.rows, _flags("secret"), "CASE"),
        "sweep": _on_case("Compare exposed systems with their baselines.", "cases/{case}/sweep",
                          ("system",), view.swept, _flags("system"), "CASE"),
        "explain": _on_case("Explain a difference as legitimate.", "cases/{case}/explain",
                            ("item", "reason", "owner"), render.pairs,
                            _flags("reason", "owner", need=("reason",), item="item"),
                            "CASE ITEM -reason=…"),
        "exempt": _on_case("Accept an open item for now.", "cases/{case}/exempt",
                           ("item", "reason", "owner", "ttl"), render.pairs,
                           _flags("reason", "owner", "ttl", need=("reason", "ttl"), item="item"),
                           "CASE ITEM -reason=… -ttl=…"),
        "confirm": _on_case("Vouch for what another person stated: no statement counts by one.",
                            "cases/{case}/confirm", ("items",), render.pairs, _confirming,
                            "CASE ENTRY..."),
        "readmit": _on_case("Let a contained principal act again.", "cases/{case}/readmit",
                            ("principal", "reason", "owner"), render.pairs,
                            _flags("reason", "owner", need=("reason",), item="principal"),
                            "CASE PRINCIPAL -reason=…"),
        "check-root": Command("Record the check of one of Ironkeep's own settings.", _check_root,
                              "CASE ITEM [-detail=…]", "", _checking),
        "root": Command("Show Ironkeep's own settings to check, and their changes.",
                        _read("cases/{case}/check-root", (), view.root), "CASE", "", _flags()),
        "residue": _on_case("Record what cannot be known or undone.", "cases/{case}/residue",
                            ("words",), render.pairs, _flags(item="words"), "CASE WORDS"),
        "verdict": Command("Print the verdict. Exit code: 0 PROVEN, 3 NOT PROVEN, 4 DISPROVEN, "
                           "7 with exceptions, 8 of the past.",
                           _verdict, "CASE", "", _flags("as_of")),
        "pack": Command("Write the signed evidence pack to a file.", _pack, "CASE", "", _packing),
        "did-read": Command("Write a signed statement of who read a secret since a time.",
                            _did_read, "SECRET -start=…", "", _reading),
        "trust": Command("Print the keys by which packs are verified.", _trust, "", "", _out),
        "document": Command("Search a leaked document for stored secrets.", _document, "FILE", "",
                            _submission),
        "register-copy": Command("Register an encrypted copy of a secret.", _copy,
                                 "-name=… -wraps=… -opened-by=… FILE...", "", _registration),
    },
)  # fmt: skip
