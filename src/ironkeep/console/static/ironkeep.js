// The code that all pages share: API calls, building elements from text, and WebAuthn.
//
// No text becomes markup: elements are created one by one, and text is set as text content.

const NEWS = document.getElementById("news");

/** A refusal by the server, in its own words; `touch` is the id of the step-up that lifts it. */
export class Refused extends Error {
  constructor(status, texts, challenge = "") {
    super(texts.filter(Boolean).join("\n") || `The server refused this (status ${status}).`);
    this.name = "Refused";
    this.status = status;
    this.touch = /\/ui\/step-up\/([A-Za-z0-9_-]+)/.exec(challenge)?.[1];
  }
}

/**
 * Call the API; return the response's document, {} when it is empty; throw Refused.
 * With `last` the request is sent even while the page is being left.
 */
export async function ask(method, path, data, token, last = false) {
  const headers = { "X-Vault-Request": "true" };
  if (data !== undefined) headers["Content-Type"] = "application/json";
  if (token !== undefined) headers["X-Vault-Token"] = token;
  const answer = await fetch(`/v1/${path}`, {
    method,
    headers,
    body: data === undefined ? undefined : JSON.stringify(data),
    cache: "no-store",
    credentials: "omit",
    keepalive: last,
    redirect: "error",
    referrerPolicy: "no-referrer",
  });
  const text = await answer.text();
  const document_ = text ? JSON.parse(text) : {};
  if (!answer.ok) {
    const challenge = answer.headers.get("WWW-Authenticate") ?? "";
    throw new Refused(answer.status, document_.errors ?? [], challenge);
  }
  return document_;
}

/** Return text as a segment of an API path; throw for "." and "..", which no encoding protects. */
export function segment(text) {
  if (/^\.{1,2}$/.test(text)) throw new TypeError("not a segment of a path");
  return encodeURIComponent(text);
}

const LOOPBACK = /^http:\/\/127\.0\.0\.1:[1-9][0-9]{0,4}\/cb\?[A-Za-z0-9_.~%&=-]+$/;

/** Return whether an address is one where a command on this machine can wait. */
export function isLoopback(address) {
  return LOOPBACK.test(address);
}

// Control, format, separator and unassigned characters, and letters or marks that are drawn as
// nothing: two paths that differ by one of these would look alike. The same set as
// core/text/visible.py.
const UNSEEN = /(?! )[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** Return text in which every invisible, reordering or breaking character is spelled out. */
export function visible(text) {
  return String(text).replace(
    UNSEEN,
    (each) => `⟨U+${each.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`,
  );
}

/** Return an element with attributes and children; a child that is not a node becomes text. */
export function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, visible(value));
  made.append(...children.map((child) => (child instanceof Node ? child : visible(child))));
  return made;
}

/** Fill a definition list with pairs of name and value; pairs without a value are left out. */
export function fill(list, pairs) {
  const rows = pairs.filter(([, value]) => value !== undefined && value !== "" && value !== null);
  list.replaceChildren(
    ...rows.flatMap(([name, value]) => [
      element("dt", {}, name),
      element("dd", {}, value instanceof Node ? value : element("bdi", {}, value)),
    ]),
  );
}

/** Return the element with an id. */
export function by(id) {
  return document.getElementById(id);
}

/** Show a message to the person and their screen reader. Kinds: good, bad, plain. */
export function say(text, kind = "plain") {
  NEWS.dataset.kind = kind;
  NEWS.textContent = visible(text).replaceAll("⟨U+000A⟩", "\n");
}

/** Run work with the button disabled; show the reason when it fails. */
export async function busy(button, work) {
  if (button.disabled) return;
  button.disabled = true;
  say("");
  try {
    await work();
  } catch (error) {
    say(reason(error), "bad");
  } finally {
    button.disabled = false;
  }
}

function reason(error) {
  if (error instanceof Refused) return error.message;
  if (error.name === "NotAllowedError")
    return "Your authenticator gave no answer: it was cancelled, timed out, or holds no passkey for this vault.";
  if (error.name === "InvalidStateError") return "This authenticator is registered already.";
  if (error.name === "SecurityError")
    return "Your browser refused: this page is not at the address that your passkeys belong to.";
  if (error instanceof TypeError) return "The server cannot be reached.";
  return `This did not work (${error.name}).`;
}

function capable() {
  if (window.PublicKeyCredential?.parseRequestOptionsFromJSON === undefined) {
    throw new Refused(0, ["This browser is too old for passkeys as this page needs them."]);
  }
}

/** Create a passkey; return the registration as JSON. */
export async function create(options) {
  capable();
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey ?? options);
  return (await navigator.credentials.create({ publicKey })).toJSON();
}

/** Sign a challenge with a touch; return the assertion as JSON. */
export async function sign(options) {
  capable();
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey ?? options);
  return (await navigator.credentials.get({ publicKey })).toJSON();
}

/** Return the statement of a step-up demand; throw unless its challenge is the statement's hash. */
export async function statementOf({ statement, options }) {
  capable();
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(statement));
  const { challenge } = PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey);
  const [one, other] = [new Uint8Array(hash), new Uint8Array(challenge)];
  if (one.length !== other.length || one.some((byte, at) => byte !== other[at])) {
    throw new Refused(0, ["The server asks to sign something other than it shows: do not touch."]);
  }
  return JSON.parse(statement);
}

/** Return a point in time, given in RFC 3339 or milliseconds, in the person's locale. */
export function when(text) {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? String(text) : date.toLocaleString();
}

by("here").textContent = location.host;
