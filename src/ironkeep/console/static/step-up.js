// One touch for one request: shows what was asked for, and has its challenge signed.

import { ask, busy, by, fill, say, sign, when } from "./ironkeep.js";

const id = location.pathname.split("/").pop();
const form = by("touch");
const WORDS = {
  read: "Read",
  list: "List",
  create: "Create",
  update: "Write",
  patch: "Change",
  delete: "Delete",
};

let demand;

async function show() {
  demand = (await ask("GET", `auth/passkey/step-up/${id}`)).data;
  fill(by("facts"), [
    [WORDS[demand.operation] ?? demand.operation, demand.path],
    ["As", demand.name],
    ["On device", demand.device],
    ["Good until", when(demand.expires)],
  ]);
  form.hidden = false;
  form.querySelector("button").focus();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(form.querySelector("button"), async () => {
    const credential = await sign(demand.options);
    await ask("POST", `auth/passkey/step-up/${id}`, { credential });
    form.hidden = true;
    say("Allowed, once. Go back to your command and run it again.", "good");
  });
});

show().catch((error) => say(error.message, "bad"));
