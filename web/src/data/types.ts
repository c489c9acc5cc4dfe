/**
 * Short names for the shapes of the API that the page reads. They come from the API's
 * document (`npm run api`): nothing is written down here by hand that it says itself.
 */

import type { Schemas } from "./api.gen";

export type { Schemas } from "./api.gen";

/** JSON has no words for some floats, so the agent sends "NaN", "+Inf" and "-Inf". */
export type WireNumber = Schemas["Number"];
export type RangeAnswer = Schemas["RangeBody"];
export type InstantAnswer = Schemas["InstantAnswer"];
export type Health = Schemas["Health"];
export type Component = Schemas["Component"];
export type HealthAnswer = Schemas["Full"];
export type OutcomeClass = Schemas["OutcomeClass"];
export type BreakerState = Schemas["BreakerState"];
export type TargetStatus = Schemas["TargetStatus"];
export type SystemAnswer = Schemas["System"];
export type Process = Schemas["Process"];
export type TopProcesses = Schemas["TopProcesses"];
export type HostSummary = Schemas["HostSummary"];
/** A message of the stream; a `gap` tells that some are missing. */
export type EventMessage = Omit<Schemas["Event"], "type"> & { type: Schemas["EventType"] | "gap" };
export type Severity = Schemas["Severity"];
export type Alert = Schemas["AlertView"];
export type AlertDetail = Schemas["Detail"];
export type Delivery = Schemas["DeliveryView"];
export type Rule = Schemas["RuleBody"];
export type RuleDetail = Schemas["RuleDetail"];
export type Replay = Schemas["ReplayAnswer"];
export type Silence = Schemas["SilenceView"];
export type Channel = Schemas["ChannelView"];
export type Breaker = Schemas["BreakerView"];
export type Probe = Schemas["ProbeRecord"];
export type Group = Schemas["GroupView"];
export type Member = Schemas["MemberView"];
export type JournalRow = Schemas["JournalRow"];
export type Dry = Schemas["CheckReport"];
export type Check = Schemas["CheckView"];
export type Task = Schemas["Task"];

export interface List<T> {
  items: T[];
  total: number;
  next?: string | null;
}
