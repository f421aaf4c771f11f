// Signing in. The token lives in a variable of this module: a reload forgets it, and no other page
// has it. Nothing is ever written to a cookie or a storage of the browser.

import { ask, busy, by, sign } from "./ironkeep.js";

let token;

/** Show the form; call back with the login's answer when the person has signed in. */
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

/** Ask the API as who signed in; a touch that it takes is given on the way, for this alone. */
export async function askAs(method, path, data) {
  try {
    return await ask(method, path, data, token);
  } catch (error) {
    if (error.touch === undefined) throw error;
    const demand = await ask("GET", `auth/passkey/step-up/${error.touch}`);
    const credential = await sign(demand.data.options);
    await ask("POST", `auth/passkey/step-up/${error.touch}`, { credential });
    return ask(method, path, data, token);
  }
}

/** Revoke the token and forget it. */
export async function signOut() {
  const last = token;
  token = undefined;
  if (last !== undefined) await ask("POST", "auth/token/revoke-self", {}, last);
}
