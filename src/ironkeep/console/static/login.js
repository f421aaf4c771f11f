// Signs in: to test a passkey, or for a command that waits on this machine (?cli=<id>).

import { busy, by, fill, isLoopback, Refused, say, when } from "./ironkeep.js";
import { signIn, signOut } from "./session.js";

const cli = new URLSearchParams(location.search).get("cli");

if (cli !== null) {
  say("A command on this machine asks you to sign in. If you did not start one, close this page.");
}

signIn(
  ({ auth, data }) => {
    if (cli !== null) handBack(data?.redirect ?? "");
    else show(auth);
  },
  cli === null ? {} : { cli },
);

/** Go to the command with a code that only the command can exchange for a token. */
function handBack(address) {
  if (!isLoopback(address)) throw new Refused(0, ["That address is not a command on this machine."]);
  say("Signed in. Going back to your command.", "good");
  location.replace(address);
}

function show(auth) {
  const until = Date.now() + 1000 * auth.lease_duration;
  fill(by("facts"), [
    ["As", auth.metadata?.username],
    ["Policies", (auth.policies ?? []).join(", ")],
    ["Until", `you leave this page; ${when(until)} at the latest`],
  ]);
  by("signed-in").hidden = false;
  by("sign-out").focus();
}

by("sign-out").addEventListener("click", () =>
  busy(by("sign-out"), async () => {
    await signOut();
    by("signed-in").hidden = true;
    say("You are signed out.", "good");
  }),
);
