/** The first steps after an installation; gone for good when they are done. */

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";

import { system } from "../../data/live";
import { dataDirectory } from "../../data/settings";
import type { List, TargetStatus } from "../../data/types";
import { Command } from "../../parts/command";
import { Icon } from "../../parts/icon";

const KEY = "holdfast.token-read";

function remembered(): boolean {
  try {
    return localStorage.getItem(KEY) === "yes";
  } catch {
    return false;
  }
}

/** Only the person knows whether the token was read, so the person says so. */
const tokenRead = signal(remembered());

function remember(): void {
  tokenRead.value = true;
  try {
    localStorage.setItem(KEY, "yes");
  } catch {
    // Then it is asked again next time.
  }
}

export function Checklist({ targets }: { targets: List<TargetStatus> | undefined }) {
  if (!targets || !system.value) return null;
  const targetAdded = targets.total > 0;
  if (tokenRead.value && targetAdded) return null;
  const done = 1 + Number(tokenRead.value) + Number(targetAdded);
  return (
    <section class="card checklist" aria-labelledby="checklist-title">
      <h2 id="checklist-title">
        First steps <span class="muted">{done} of 3 done</span>
      </h2>
      <ol>
        <Step done title="The agent runs">
          <p class="muted">
            Version {system.value.version} on {system.value.host.hostname}, {system.value.store.series} series.
          </p>
        </Step>
        <Step done={tokenRead.value} title="Read the admin token">
          {!tokenRead.value && (
            <>
              <p class="muted">Everything that changes something asks for it. Keep it where you keep passwords.</p>
              <Command text={`sudo cat ${dataDirectory.value ?? "/var/lib/holdfast"}/admin.token`} label="command that shows the token" />
              <button type="button" class="button" onClick={remember}>
                I have it
              </button>
            </>
          )}
        </Step>
        <Step done={targetAdded} title="Add the first target">
          {!targetAdded && <p class="muted">A Postgres server or an object store: the tiles above show the lines.</p>}
        </Step>
      </ol>
    </section>
  );
}

function Step(props: { done: boolean; title: string; children?: ComponentChildren }) {
  return (
    <li class={props.done ? "done" : ""}>
      <span class="step-mark" aria-hidden="true">
        {props.done && <Icon name="check" size={14} />}
      </span>
      <div>
        <h3>
          {props.title}
          <span class="visually-hidden">{props.done ? " (done)" : " (to do)"}</span>
        </h3>
        {props.children}
      </div>
    </li>
  );
}
