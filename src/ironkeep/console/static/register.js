// Registers a passkey for the person whom a ticket was made for, and then the second one.

import { ask, busy, by, create, element, fill, say } from "./ironkeep.js";

const form = by("register");
const label = by("label");

let ticket = new URLSearchParams(location.search).get("ticket") ?? "";
// Out of the address bar and the history: a ticket is a secret until it is used.
history.replaceState(null, "", location.pathname);

async function show() {
  const begun = await ask("POST", "auth/passkey/register/begin", { ticket });
  fill(by("facts"), [
    ["For", begun.data.username],
    ["At", location.host],
  ]);
  form.hidden = false;
  label.focus();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(form.querySelector("button"), register);
});

async function register() {
  const { data } = await ask("POST", "auth/passkey/register/begin", { ticket });
  const credential = await create(data.options);
  const given = { id: data.id, credential, label: label.value.trim() };
  const made = await ask("POST", "auth/passkey/register/finish", given);
  form.hidden = true;
  if (made.data.ticket === undefined) finish(made.data);
  else await another(made.data);
}

async function another(made) {
  ticket = made.ticket;
  label.value = "";
  by("register-title").textContent = "Now a second one";
  by("second").hidden = false;
  await show();
  say("Your authenticator is registered. Register another one now.", "good");
}

function finish(made) {
  ticket = "";
  const have = `You have ${made.authenticators} authenticators; ${made.needed} are needed.`;
  by("done-text").replaceChildren(
    element("p", {}, have),
    element("p", {}, "Keep one of them at another place than the other."),
    element("p", {}, element("a", { href: "/ui/login" }, "Sign in to try one")),
  );
  by("done").hidden = false;
  say("Your authenticator is registered.", "good");
}

if (ticket === "") {
  say("This page needs a link with a ticket. Ask who runs this vault for one.", "bad");
} else {
  show().catch((error) => say(error.message, "bad"));
}
