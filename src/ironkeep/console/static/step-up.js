// One touch for one request: shows the request and signs its challenge, which is the hash of the
// statement shown.

import { ask, busy, by, fill, say, segment, sign, statementOf, when } from "./ironkeep.js";

const id = location.pathname.split("/").pop();
const route = `auth/passkey/step-up/${segment(id)}`;
const form = by("touch");
const WORDS = { read: "Read", list: "List", delete: "Delete" };

let options;

async function show() {
  const { data } = await ask("GET", route);
  const statement = await statementOf(data);
  options = data.options;
  fill(by("facts"), [
    [WORDS[statement.op] ?? "Change", statement.path],
    ["As", data.name],
    ["From device", statement.device],
    ["Until", when(data.expires)],
  ]);
  form.hidden = false;
  form.querySelector("button").focus();
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
