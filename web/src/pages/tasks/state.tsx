/** How a check and a job are, as pills; where a check reports, as an address. */

import type { Check, Task } from "../../data/types";
import { Pill, type Tone } from "../../parts/status";
import { tasks as words } from "../../text";

const CHECKS: Record<Check["status"], Tone> = { new: "off", up: "ok", late: "warn", down: "bad", paused: "off" };
const TASKS: Record<Task["state"], Tone> = { pending: "off", running: "warn", completed: "ok", failed: "bad" };

export function CheckPill({ check }: { check: Check }) {
  return <Pill tone={CHECKS[check.status]}>{words.statuses[check.status]}</Pill>;
}

export function TaskPill({ task }: { task: Task }) {
  return <Pill tone={TASKS[task.state]}>{words.states[task.state]}</Pill>;
}

/** The agent answers with a path: it does not know by which name it is reached. */
export function addressOf(path: string | null | undefined): string | undefined {
  return path ? location.origin + path : undefined;
}

/** Lines that time a job and report how it ended. */
export function around(address: string): string {
  return `curl -fsS -m 10 --retry 3 ${address}/start\nyour-job\ncurl -fsS -m 10 --retry 3 ${address}/$?`;
}
