// Signing in. The token lives in a variable of this module; no other page has it, and leaving the
// page revokes it. Nothing is ever written to cookies or web storage.

import { ask, busy, by, Refused, sign, statementOf } from "./ironkeep.js";

let token;

/** Show the form; call back with the login's response when the person has signed in. */
export function signIn(onSignedIn, more = {}) {
  const form = by("sign-in");
  const button = form.querySelector("button");
  form.hidden = false;
  button.focus();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(button, async () => {
      const answer = await login(more);
      token = answer.auth?.client_token;
      form.hidden = true;
      await onSignedIn(answer);
    });
  });
}

async function login(more) {
  const begun = await ask("POST", "auth/passkey/login/begin", more);
  const credential = await sign(begun.data.options);
  return ask("POST", "auth/passkey/login/finish", { id: begun.data.id, credential, ...more });
}

/** Call the API with the token of the signed-in person. */
export function askAs(method, path, data) {
  return ask(method, path, data, token);
}

/** Call the API like askAs; when a touch is needed, give it only for a statement about `what`. */
export async function askWithTouch(method, path, data, what) {
  try {
    return await askAs(method, path, data);
  } catch (error) {
    if (error.touch === undefined) throw error;
    const route = `auth/passkey/step-up/${error.touch}`;
    const demand = (await ask("GET", route)).data;
    if ((await statementOf(demand)).path !== what) {
      throw new Refused(0, ["The server asks to sign something else: nothing was signed."]);
    }
    await ask("POST", route, { credential: await sign(demand.options) });
    return askAs(method, path, data);
  }
}

/** Revoke the token and forget it. */
export async function signOut() {
  const last = token;
  token = undefined;
  if (last !== undefined) await ask("POST", "auth/token/revoke-self", {}, last, true);
}

// A page that the browser restores from its back/forward cache starts signed out.
addEventListener("pagehide", () => signOut().catch(() => undefined));
addEventListener("pageshow", (event) => event.persisted && location.reload());
