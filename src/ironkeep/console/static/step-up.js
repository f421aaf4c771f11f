// One touch for one request: shows what was asked for, and has its challenge signed. What is shown
// is the very text whose hash is the challenge.

import { ask, busy, by, fill, Refused, say, segment, sign, when } from "./ironkeep.js";

const id = location.pathname.split("/").pop();
const route = `auth/passkey/step-up/${segment(id)}`;
const form = by("touch");
const WORDS = { read: "Read", list: "List", delete: "Delete" };

let options;

async function show() {
  const { data } = await ask("GET", route);
  options = data.options;
  await requireHash(data.statement, options.publicKey);
  const statement = JSON.parse(data.statement);
  fill(by("facts"), [
    [WORDS[statement.op] ?? "Change", statement.path],
    ["As", data.name],
    ["From device", statement.device],
    ["Until", when(data.expires)],
  ]);
  form.hidden = false;
  form.querySelector("button").focus();
}

/** Throw unless the challenge is the hash of the statement. */
async function requireHash(statement, publicKey) {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(statement));
  const { challenge } = PublicKeyCredential.parseRequestOptionsFromJSON(publicKey);
  const [one, other] = [new Uint8Array(hash), new Uint8Array(challenge)];
  if (one.length !== other.length || one.some((byte, at) => byte !== other[at])) {
    throw new Refused(0, ["The server asks to sign something else than it shows: do not touch."]);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(form.querySelector("button"), async () => {
    const credential = await sign(options);
    await ask("POST", route, { credential });
    form.hidden = true;
    say("Allowed, once. Go back to your command and run it again.", "good");
  });
});

show().catch((error) => say(error.message, "bad"));
