/**
 * Who the page acts as.
 *
 *     anonymous --a call is refused--> asking --token or password--> signed in
 *                                        |                             |
 *                                        +--------- cancel, sign out --+--> anonymous
 *
 * Signing in makes a session, whose cookie the browser keeps and no script can read. Where
 * the agent keeps no sessions the token itself stays in this tab's session storage, and
 * never anywhere that outlives the tab.
 */

import { signal } from "@preact/signals";

import { calls } from "../text";

const KEY = "holdfast.token";
const NAME = "holdfast.who";
const SESSION = "/api/v1/session";

export type Credentials = { token: string } | { user: string; password: string };

function stored(key: string): string {
  try {
    return sessionStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}

function store(key: string, value: string): void {
  try {
    if (value === "") sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, value);
  } catch {
    // Then it lasts as long as the page.
  }
}

let token = stored(KEY);
/** Name of who is signed in; empty for nobody. */
export const who = signal(stored(NAME));
/** While it is set the dialog is open; it says why. */
export const asking = signal<string | undefined>(undefined);

/** How often somebody signed in: an answer to what was asked before that says nothing of now. */
let logins = 0;

export function loginsSoFar(): number {
  return logins;
}

let waiting: Promise<boolean> | undefined;
let settle: ((done: boolean) => void) | undefined;
/** Once declined, reading does not ask again by itself: only an action does. */
let declined = false;

export function authorization(): Record<string, string> {
  return token === "" ? {} : { authorization: `Bearer ${token}` };
}

/** Whether a refused call may open the dialog. */
export function mayAsk(wanted: boolean): boolean {
  return wanted || !declined;
}

/** Opens the dialog, or joins the open one; true when somebody signed in. */
export function signIn(reason = ""): Promise<boolean> {
  asking.value ??= reason;
  waiting ??= new Promise<boolean>((resolve) => {
    settle = resolve;
  });
  return waiting;
}

export function closeSignIn(done: boolean): void {
  declined = !done;
  asking.value = undefined;
  settle?.(done);
  waiting = undefined;
  settle = undefined;
}

function take(name: string, kept: string): void {
  if (name !== "") logins += 1;
  token = kept;
  who.value = name;
  store(KEY, kept);
  store(NAME, name);
}

/** Why the credentials are not good, or undefined when they are. */
export async function present(given: Credentials): Promise<string | undefined> {
  const body = JSON.stringify(given);
  const headers = { "content-type": "application/json", accept: "application/json" };
  const response = await fetch(SESSION, { method: "POST", headers, body, credentials: "same-origin" });
  const answer = (await response.json().catch(() => ({}))) as { detail?: string; who?: string; name?: string };
  if (response.ok) {
    take(answer.who ?? answer.name ?? ("user" in given ? given.user : "token"), "");
    return undefined;
  }
  // No sessions there, or a key that cannot have one.
  const none = response.status === 404 || response.status === 422;
  if (none && "token" in given) return presentToken(given.token);
  return answer.detail ?? calls.answered(response.status);
}

async function presentToken(text: string): Promise<string | undefined> {
  const headers = { authorization: `Bearer ${text}`, accept: "application/json" };
  const response = await fetch("/api/v1/system", { headers });
  if (!response.ok) return ((await response.json().catch(() => ({}))) as { detail?: string }).detail ?? "";
  take("token", text);
  return undefined;
}

/** Asks whom the cookie of an earlier visit stands for. */
export function startSession(): void {
  const headers = { accept: "application/json", ...authorization() };
  fetch(SESSION, { headers, credentials: "same-origin" })
    .then((response) => (response.ok ? response.json() : undefined))
    .then((answer: { who?: string; by?: string } | undefined) => {
      if (!answer) return;
      who.value = answer.by === "anonymous" ? "" : (answer.who ?? "");
    })
    .catch(() => undefined);
}

export async function signOut(): Promise<void> {
  const headers = authorization();
  take("", "");
  await fetch(SESSION, { method: "DELETE", headers, credentials: "same-origin" }).catch(() => undefined);
}
