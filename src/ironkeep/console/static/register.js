// Registers a passkey for the person of a ticket, and then a second one. The person pastes the
// ticket; once opened, it works only in this page.

import { ask, busy, by, create, element, fill, say } from "./ironkeep.js";

const form = by("register");
const label = by("label");
const open = by("open");
const pasted = by("ticket");

// Our own links contain no ticket. A ticket in a handmade link is opened at once, so that the copy
// in the browser's history becomes worthless.
let ticket = new URLSearchParams(location.search).get("ticket") ?? "";
history.replaceState(null, "", location.pathname);
let holder;

async function begin() {
  const begun = await ask("POST", "auth/passkey/register/begin", { ticket, holder });
  holder = begun.data.holder;
  return begun;
}

async function show() {
  const begun = await begin();
  open.hidden = true;
  pasted.value = "";
  fill(by("facts"), [
    ["For", begun.data.username],
    ["At", location.host],
  ]);
  form.hidden = false;
  label.focus();
}

open.addEventListener("submit", (event) => {
  event.preventDefault();
  ticket = pasted.value.trim();
  busy(open.querySelector("button"), show);
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(form.querySelector("button"), register);
});

async function register() {
  const { data } = await begin();
  const credential = await create(data.options);
  const given = { id: data.id, credential, label: label.value.trim() };
  const made = await ask("POST", "auth/passkey/register/finish", given);
  form.hidden = true;
  if (made.data.ticket === undefined) finish(made.data);
  else await another(made.data);
}

async function another(made) {
  ticket = made.ticket;
  holder = undefined;
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
    element("p", {}, "Keep them in different places."),
    element("p", {}, element("a", { href: "/ui/login" }, "Sign in to try one")),
  );
  by("done").hidden = false;
  say("Your authenticator is registered.", "good");
}

if (ticket === "") {
  open.hidden = false;
  pasted.focus();
} else {
  show().catch((error) => say(error.message, "bad"));
}
