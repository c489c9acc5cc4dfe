/** The first steps after an installation; gone for good when they are done. */

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";

import { call } from "../../data/api";
import { system } from "../../data/live";
import { usePolled } from "../../data/poll";
import { dataDirectory } from "../../data/settings";
import type { List, TargetStatus } from "../../data/types";
import { Command } from "../../parts/command";
import { Icon } from "../../parts/icon";
import { href } from "../../router";
import { overview as words } from "../../text";

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
  const channels = usePolled((signal) => call("GET /api/v1/monitoring/channels", { query: { limit: 1 }, signal }), 60_000);
  if (!targets || !system.value || !channels.value.value) return null;
  const targetAdded = targets.total > 0;
  const channelAdded = channels.value.value.total > 0;
  if (tokenRead.value && targetAdded && channelAdded) return null;
  const done = 1 + Number(tokenRead.value) + Number(targetAdded) + Number(channelAdded);
  return (
    <section class="card checklist" aria-labelledby="checklist-title">
      <h2 id="checklist-title">
        {words.steps} <span class="muted">{words.stepsDone(done, 4)}</span>
      </h2>
      <ol>
        <Step done title={words.runs}>
          <p class="muted">
            {words.runsText(system.value.version, system.value.host.hostname, system.value.store.series)}
          </p>
        </Step>
        <Step done={tokenRead.value} title={words.token}>
          {!tokenRead.value && (
            <>
              <p class="muted">{words.tokenText}</p>
              <Command text={`sudo cat ${dataDirectory.value ?? "/var/lib/holdfast"}/admin.token`} label={words.tokenLabel} />
              <button type="button" class="button" onClick={remember}>
                {words.haveIt}
              </button>
            </>
          )}
        </Step>
        <Step done={targetAdded} title={words.target}>
          {!targetAdded && <p class="muted">{words.targetText}</p>}
        </Step>
        <Step done={channelAdded} title={words.channel}>
          {!channelAdded && (
            <p class="muted">
              {words.channelText} <a href={href("/channels")}>{words.toChannels}</a>
            </p>
          )}
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
          <span class="visually-hidden">{` (${props.done ? words.done : words.toDo})`}</span>
        </h3>
        {props.children}
      </div>
    </li>
  );
}
