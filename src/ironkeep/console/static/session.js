// Signing in. The token lives in a variable of this module: a reload forgets it, and no other page
// has it. Nothing is ever written to a cookie or a storage of the browser.

import { ask, busy, by, sign } from "./ironkeep.js";

let token;

/** Show the form; call back with the login's auth when the person has signed in. */
export function signIn(onSignedIn, more = {}) {
  const form = by("sign-in");
  form.hidden = false;
  by("name").focus();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(event.submitter ?? form.querySelector("button"), async () => {
      const answer = await login(by("name").value.trim(), more);
      token = answer.auth?.client_token;
      form.hidden = true;
      await onSignedIn(answer);
    });
  });
}

async function login(username, more) {
  const begun = await ask("POST", "auth/passkey/login/begin", { username, ...more });
  const credential = await sign(begun.data.options);
  return ask("POST", "auth/passkey/login/finish", { id: begun.data.id, credential, ...more });
}

/** Ask the API as who signed in. */
export function askAs(method, path, data) {
  return ask(method, path, data, token);
}

/** Revoke the token and forget it. */
export async function signOut() {
  const last = token;
  token = undefined;
  if (last !== undefined) await ask("POST", "auth/token/revoke-self", {}, last);
}
