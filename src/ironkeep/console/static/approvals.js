// The inbox: who asks for what and why. To approve takes the number from the requester's screen and
// a touch; to refuse takes a click.

import { busy, by, element, fill, say, segment, sign, when } from "./ironkeep.js";
import { askAs, signIn, signOut } from "./session.js";

const BASE = "approval/requests";
const list = by("requests");

async function look() {
  const found = await askAs("GET", `${BASE}?list=true`).catch((error) => {
    if (error.status === 404) return { data: { keys: [] } };
    throw error;
  });
  const requests = await Promise.all(
    found.data.keys.map(async (id) => {
      const { data } = await askAs("GET", `${BASE}/${segment(id)}`);
      return card(id, data);
    }),
  );
  list.replaceChildren(...requests);
  if (requests.length === 0) {
    list.append(element("li", { class: "sheet quiet" }, "Nothing waits for you."));
  }
  by("inbox").hidden = false;
}

let count = 0;

function card(id, request) {
  count += 1;
  const title = element("h2", { id: `title-${count}` });
  title.append(element("bdi", {}, request.name), " asks to ", request.operation);
  const facts = element("dl", {});
  fill(facts, [
    ["What", element("code", {}, request.path)],
    ["Why", request.reason],
    ["From device", request.device],
    ["Asked", when(request.created)],
    ["Lapses", when(request.expires)],
    ["Approved by", (request.approved_by ?? []).join(", ")],
    ["Still needed", request.needed],
  ]);
  const number = element("input", {
    id: `number-${count}`,
    class: "number",
    inputmode: "numeric",
    autocomplete: "off",
    pattern: "[0-9]*",
    maxlength: "8",
    required: "",
    "aria-describedby": `hint-${count}`,
  });
  const approve = element("button", { type: "submit" }, "Approve with a touch");
  const refuse = element("button", { type: "button", class: "refuse" }, "Refuse");
  const form = element(
    "form",
    { "aria-labelledby": title.id },
    element(
      "div",
      { class: "field" },
      element("label", { for: number.id }, "Number on the requester's screen"),
      number,
      element(
        "p",
        { class: "hint", id: `hint-${count}` },
        "Ask the person, face to face or by voice. Never take it from a message.",
      ),
    ),
    element("div", { class: "row" }, approve, refuse),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(approve, async () => {
      const number_ = number.value.trim();
      const begun = await askAs("POST", `${BASE}/${segment(id)}/begin`, {});
      const credential = await sign(begun.data.options);
      await askAs("POST", `${BASE}/${segment(id)}/approve`, { number: number_, credential });
      await look();
      say(`Approved: ${request.path}`, "good");
    });
  });
  refuse.addEventListener("click", () =>
    busy(refuse, async () => {
      await askAs("POST", `${BASE}/${segment(id)}/refuse`, {});
      await look();
      say(`Refused: ${request.path}`, "good");
    }),
  );
  return element("li", { class: "sheet", "aria-labelledby": title.id }, title, facts, form);
}

signIn(look);

by("again").addEventListener("click", () => busy(by("again"), look));
by("sign-out").addEventListener("click", () =>
  busy(by("sign-out"), async () => {
    list.replaceChildren();
    by("inbox").hidden = true;
    await signOut();
    say("You are signed out.", "good");
  }),
);
