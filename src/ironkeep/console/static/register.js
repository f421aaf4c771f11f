// Registers a passkey for the person whom a ticket was made for.

import { ask, busy, by, create, element, fill, say } from "./ironkeep.js";

const ticket = new URLSearchParams(location.search).get("ticket") ?? "";
// Out of the address bar and the history: a ticket is a secret until it is used.
history.replaceState(null, "", location.pathname);

const form = by("register");

if (ticket === "") {
  say("This page needs a link with a ticket. Ask who runs this vault for one.", "bad");
} else {
  fill(by("facts"), [["Vault", location.host]]);
  form.hidden = false;
  by("label").focus();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(form.querySelector("button"), register);
});

async function register() {
  const label = by("label").value.trim();
  const begun = await ask("POST", "auth/passkey/register/begin", { ticket });
  const credential = await create(begun.data.options);
  await ask("POST", "auth/passkey/register/finish", {
    id: begun.data.id,
    credential,
    label,
  });
  form.hidden = true;
  show(label);
}

function show(label) {
  by("done-text").replaceChildren(
    element("p", {}, "“", element("bdi", {}, label), "” is registered."),
    element("p", {}, "You need two: when one is lost, the other still lets you in."),
  );
  by("done").hidden = false;
  say("Your authenticator is registered.", "good");
}
