// The inbox of approval requests: requester, path, data and reason. Approving needs the number on
// the requester's screen and a touch; a single refusal ends a request.

import { busy, by, element, fill, say, segment, when } from "./ironkeep.js";
import { askAs, askWithTouch, signIn, signOut } from "./session.js";

const BASE = "approval/requests";
const VERBS = { read: "read", list: "list", delete: "delete" };
const list = by("requests");

async function look() {
  const found = await askAs("GET", `${BASE}?list=true`).catch((error) => {
    if (error.status === 404) return { data: { keys: [], key_info: {} } };
    throw error;
  });
  const { keys, key_info: known } = found.data;
  const theirs = keys.filter((id) => !known[id].mine && !known[id].approved);
  const requests = await Promise.all(
    theirs.map(async (id) => (await askAs("GET", `${BASE}/${segment(id)}`)).data),
  );
  list.replaceChildren(...requests.map((request, at) => card(theirs[at], request, at)));
  if (theirs.length === 0) {
    list.append(element("li", { class: "sheet quiet" }, "Nothing waits for you."));
  }
  by("inbox").hidden = false;
}

function card(id, request, at) {
  const title = element(
    "h2",
    { id: `title-${at}` },
    element("bdi", {}, request.requester || request.entity_id),
    ` asks to ${VERBS[request.operation] ?? "change"}`,
  );
  return element(
    "li",
    { class: "sheet", "aria-labelledby": title.id },
    title,
    facts(request),
    decision(id, request, at),
  );
}

function facts(request) {
  const made = element("dl", {});
  const data = Object.keys(request.data ?? {}).length > 0 ? JSON.stringify(request.data) : "";
  fill(made, [
    ["What", element("code", {}, element("bdi", {}, request.path))],
    ["With", data],
    ["Why", request.reason || "no reason was given"],
    ["Ticket", request.ticket],
    ["Secret class", request.class],
    ["From device", request.device],
    ["Asked", when(request.asked)],
    ["Approved by", request.approvals.map((each) => each.name).join(", ")],
    ["Still needed", `${request.needed - request.given} of ${request.needed}`],
    ["Also today", today(request.today)],
  ]);
  return made;
}

function today(others) {
  if (others.length === 0) return "nothing else";
  const rows = others.map((each) => {
    const outcome = each.outcome ? `, ${each.outcome}` : "";
    return element("li", {}, element("bdi", {}, `${each.operation} ${each.path}${outcome}`));
  });
  return element("ul", { class: "list" }, ...rows);
}

function decision(id, request, at) {
  const number = element("input", {
    id: `number-${at}`,
    class: "number",
    inputmode: "numeric",
    autocomplete: "off",
    pattern: "[0-9]{3}",
    maxlength: "3",
    required: "",
    "aria-describedby": `hint-${at}`,
  });
  const hint = "Ask the person, face to face or by voice. Never take the number from a message.";
  const approve = element("button", { type: "submit" }, "Approve with a touch");
  const refuse = element("button", { type: "button", class: "refuse" }, "Refuse");
  const form = element(
    "form",
    {},
    element(
      "div",
      { class: "field" },
      element("label", { for: number.id }, "Number on the requester's screen"),
      number,
      element("p", { class: "hint", id: `hint-${at}` }, hint),
    ),
    element("div", { class: "row" }, approve, refuse),
  );
  const decide = (button, verb, data, word) =>
    busy(button, async () => {
      const what = `${BASE}/${id} ${request.digest}`;
      await askWithTouch("POST", `${BASE}/${segment(id)}/${verb}`, data, what);
      await look();
      say(`${word}: ${request.path}`, "good");
      by("again").focus();
    });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    decide(approve, "approve", { number: Number(number.value) }, "Approved");
  });
  refuse.addEventListener("click", () => decide(refuse, "deny", {}, "Refused"));
  return form;
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
