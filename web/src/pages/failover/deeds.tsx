/**
 * What an operator can do with a group. What moves clients names what may be lost and wants
 * the name of the group typed; what changes nothing is done at once.
 */

import { useComputed, useSignal, type Signal } from "@preact/signals";

import { call, type Answer } from "../../data/api";
import type { Dry, Group } from "../../data/types";
import { useAction } from "../../parts/action";
import { confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Either } from "../../parts/either";
import { CheckField, FormProblem, SelectField, TextField } from "../../parts/form";
import { moves as words, parts } from "../../text";
import { DryResult } from "./dry";
import { atStake } from "./sentence";

type Ask = "test" | "drill" | "switchover" | "failover" | "pause";

interface Props {
  group: Group;
  /** Asks for the group anew. */
  done: () => void;
}

function said(answer: Answer<"POST /api/v1/failover/groups/{name}/failover">): string {
  return "operation" in answer ? words.begun(answer.operation) : words.done(answer.active ?? "", answer.epoch);
}

export function Deeds({ group, done }: Props) {
  const asked = useSignal<Ask | undefined>(undefined);
  const report = useSignal<Dry | undefined>(undefined);
  const path = { name: group.name };
  const test = useAction(async () => {
    const answer = await call("POST /api/v1/failover/groups/{name}/test", { path, query: { wait: true }, body: { mode: "dry_run" } });
    if ("operation" in answer) return;
    report.value = answer;
    asked.value = "test";
  });
  const resume = useAction(async () => {
    if (!(await confirm({ title: words.resumeTitle(group.name), text: words.resumeText, action: words.resume }))) return;
    await call("POST /api/v1/failover/groups/{name}/resume", { path });
    done();
    return words.resumed(group.name);
  });
  return (
    <>
      <button type="button" class="button primary" disabled={test.busy.value} onClick={() => void test.run()}>
        <Either busy={test.busy.value} rest={words.test} work={words.testing} />
      </button>
      <button type="button" class="button" onClick={() => (asked.value = "switchover")}>
        {words.switchover}
      </button>
      <button type="button" class="button" onClick={() => (asked.value = "failover")}>
        {words.failover}
      </button>
      {group.state === "paused" ? (
        <button type="button" class="button" disabled={resume.busy.value} onClick={() => void resume.run()}>
          {words.resume}
        </button>
      ) : (
        <button type="button" class="button" onClick={() => (asked.value = "pause")}>
          {words.pause}
        </button>
      )}
      <Asked asked={asked} what="test" title={words.testTitle(group.name)}>
        {(close) =>
          report.value && (
            <>
              <DryResult report={report.value} />
              <p class="dialog-foot">
                <button type="button" class="button" onClick={() => (asked.value = "drill")}>
                  {words.drill}
                </button>
                <button type="button" class="button primary" onClick={close}>
                  {parts.close}
                </button>
              </p>
            </>
          )
        }
      </Asked>
      <Asked asked={asked} what="drill" title={words.drillTitle(group.name)}>
        {(close) => <Drill group={group} done={done} close={close} />}
      </Asked>
      <Asked asked={asked} what="switchover" title={words.switchTitle(group.name)}>
        {(close) => <Switchover group={group} done={done} close={close} />}
      </Asked>
      <Asked asked={asked} what="failover" title={words.failTitle(group.name)}>
        {(close) => <Failover group={group} done={done} close={close} />}
      </Asked>
      <Asked asked={asked} what="pause" title={words.pauseTitle(group.name)}>
        {(close) => <Pause group={group} done={done} close={close} />}
      </Asked>
    </>
  );
}

interface AskedProps {
  asked: Signal<Ask | undefined>;
  what: Ask;
  title: string;
  children: (close: () => void) => preact.ComponentChildren;
}

function Asked({ asked, what, title, children }: AskedProps) {
  const open = useComputed(() => asked.value === what);
  const close = () => void (asked.value = undefined);
  return (
    <Dialog open={open} onClose={close} title={title} kind="wide">
      {children(close)}
    </Dialog>
  );
}

interface FormProps {
  /** What the button says; `word` must be typed before it works. */
  action: string;
  word?: string;
  ready?: boolean;
  run: () => Promise<string>;
  close: () => void;
  children: preact.ComponentChildren;
}

function DeedForm({ action, word, ready = true, run, close, children }: FormProps) {
  const typed = useSignal("");
  const deed = useAction(async () => {
    const text = await run();
    close();
    return text;
  }, true);
  const may = ready && (word === undefined || typed.value === word) && !deed.busy.value;
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (may) void deed.run();
      }}
    >
      {children}
      {word !== undefined && <TextField label={parts.typeWord(word)} value={typed} mono />}
      <FormProblem problem={deed.problem.value} />
      <p class="dialog-foot">
        <button type="button" class="button" onClick={close}>
          {parts.cancel}
        </button>
        <button type="submit" class={word === undefined ? "button primary" : "button danger"} disabled={!may}>
          {action}
        </button>
      </p>
    </form>
  );
}

type Body = Props & { close: () => void };

function Switchover({ group, done, close }: Body) {
  const to = useSignal("");
  const heirs = group.members.filter((one) => one.name !== group.active && one.state === "standby");
  const run = async () => {
    const answer = await call("POST /api/v1/failover/groups/{name}/switchover", {
      path: { name: group.name },
      query: { wait: true },
      body: to.value === "" ? {} : { to: to.value },
    });
    done();
    return said(answer);
  };
  return (
    <DeedForm action={words.switchover} word={group.name} ready={heirs.length > 0} run={run} close={close}>
      <p>{words.switchLead(group.active ?? "")}</p>
      {group.tier !== "switch" && <p>{words.switchAfter(group.active ?? "")}</p>}
      {heirs.length === 0 ? <p class="fault">{words.switchSelf}</p> : <To to={to} none={words.bestSwitch} names={heirs.map((one) => one.name)} />}
    </DeedForm>
  );
}

/** There and back for real, which takes minutes: it is begun, and the journal tells the rest. */
function Drill({ group, done, close }: Body) {
  const run = async () => {
    await call("POST /api/v1/failover/groups/{name}/test", { path: { name: group.name }, body: { mode: "drill" } });
    done();
    return words.begun(words.drill.toLowerCase());
  };
  return (
    <DeedForm action={words.drill} word={group.name} ready={Boolean(group.would_promote)} run={run} close={close}>
      <p>{group.would_promote ? words.drillLead(group.active ?? "", group.would_promote) : words.switchSelf}</p>
      <p>{words.drillNeeds}</p>
    </DeedForm>
  );
}

function Failover({ group, done, close }: Body) {
  const to = useSignal("");
  const force = useSignal(false);
  const accepted = useSignal(false);
  const run = async () => {
    const answer = await call("POST /api/v1/failover/groups/{name}/failover", {
      path: { name: group.name },
      query: { wait: true },
      body: { ...(to.value !== "" && { to: to.value }), ...(force.value && { force: true, accept_data_loss: accepted.value }) },
    });
    done();
    return said(answer);
  };
  const others = group.members.filter((one) => one.name !== group.active).map((one) => one.name);
  return (
    <DeedForm action={words.failover} word={group.name} ready={!force.value || accepted.value} run={run} close={close}>
      <p>{group.active ? words.failLead(group.active) : words.failNobody}</p>
      <To to={to} none={words.best} names={others} />
      <CheckField label={words.force} value={force} />
      <div class="at-stake">
        <h3>{words.mayLose}</h3>
        <ul class="deed-list">
          {atStake(group, to.value, force.value).map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
        {force.value && <CheckField label={words.accept} value={accepted} />}
      </div>
    </DeedForm>
  );
}

function To({ to, none, names }: { to: Signal<string>; none: string; names: readonly string[] }) {
  return <SelectField label={words.to} value={to} options={[["", none] as const, ...names.map((name) => [name, name] as const)]} />;
}

function Pause({ group, done, close }: Body) {
  const span = useSignal("30m");
  const run = async () => {
    await call("POST /api/v1/failover/groups/{name}/pause", { path: { name: group.name }, body: span.value === "" ? {} : { for: span.value } });
    done();
    return words.paused(group.name);
  };
  return (
    <DeedForm action={words.pause} run={run} close={close}>
      <p>{words.pauseLead}</p>
      <SelectField label={words.pauseFor} value={span} options={Object.entries(words.pauses)} />
    </DeedForm>
  );
}
