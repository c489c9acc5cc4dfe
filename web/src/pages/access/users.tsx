/** People: added with a role and a password, changed, deleted. */

import { useComputed, useSignal } from "@preact/signals";

import { ROLES, type Role, type User } from "../../data/access";
import { call } from "../../data/api";
import { usePolled } from "../../data/poll";
import { who } from "../../data/session";
import { useAction } from "../../parts/action";
import { confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Empty } from "../../parts/empty";
import { FormProblem, SelectField, TextField } from "../../parts/form";
import { Loaded } from "../../parts/loaded";
import { Table, type Column } from "../../parts/table";
import { When } from "../../parts/when";
import { access as words, parts } from "../../text";

/** What a dialog is open for. */
type Deed = { kind: "add" } | { kind: "role" | "password"; user: User };

const ROLE_OPTIONS = ROLES.map((role) => [role, words.role[role]] as const);

export function Users() {
  const list = usePolled((signal) => call("GET /api/v1/users", { query: { limit: 1000 }, signal }), 30_000, who);
  const deed = useSignal<Deed | undefined>(undefined);
  const open = useComputed(() => deed.value !== undefined);
  const close = () => (deed.value = undefined);
  const done = () => {
    close();
    list.retry();
  };
  const add = (
    <button type="button" class="button primary" onClick={() => (deed.value = { kind: "add" })}>
      {words.addUser}
    </button>
  );
  return (
    <>
      <div class="head-row">{add}</div>
      <Loaded resource={list} what={words.tabs.users}>
        {(answer) => (
          <Table
            label={words.tabs.users}
            columns={columnsOf((next) => (deed.value = next), list.retry)}
            rows={answer.items}
            keyOf={(one) => one.name}
            empty={<Empty title={words.noUsersTitle} text={words.noUsers} />}
          />
        )}
      </Loaded>
      <Dialog open={open} onClose={close} title={titleOf(deed.value)}>
        {deed.value && <Form deed={deed.value} close={close} done={done} />}
      </Dialog>
    </>
  );
}

function titleOf(deed: Deed | undefined): string {
  if (!deed || deed.kind === "add") return words.addUser;
  return deed.kind === "role" ? words.changeRoleOf(deed.user.name) : words.setPasswordOf(deed.user.name);
}

function columnsOf(open: (deed: Deed) => void, reload: () => void): Column<User>[] {
  return [
    { id: "name", title: words.userColumns.name, head: true, wide: true, sort: (one) => one.name, cell: (one) => <strong>{one.name}</strong> },
    {
      id: "role",
      title: words.userColumns.role,
      sort: (one) => ROLES.indexOf(one.role),
      cell: (one) => <span title={words.role[one.role]}>{one.role}</span>,
    },
    { id: "created", title: words.userColumns.created, sort: (one) => one.created_at, cell: (one) => <When at={one.created_at} /> },
    { id: "password", title: words.userColumns.password, sort: (one) => one.password_at, cell: (one) => <When at={one.password_at} /> },
    {
      id: "deeds",
      title: words.delete,
      quiet: true,
      cell: (user) => (
        <span class="row-actions">
          <button type="button" class="button small" aria-label={words.changeRoleOf(user.name)} onClick={() => open({ kind: "role", user })}>
            {words.changeRole}
          </button>
          <button type="button" class="button small" aria-label={words.setPasswordOf(user.name)} onClick={() => open({ kind: "password", user })}>
            {words.setPassword}
          </button>
          <Delete user={user} reload={reload} />
        </span>
      ),
    },
  ];
}

function Delete({ user: { name }, reload }: { user: User; reload: () => void }) {
  const remove = useAction(async () => {
    if (!(await confirm({ title: words.deleteTitle, text: words.deleteText(name), action: words.delete, word: name }))) return;
    await call("DELETE /api/v1/users/{name}", { path: { name } });
    reload();
    return words.deleted(name);
  });
  return (
    <button type="button" class="button small" aria-label={words.deleteOne(name)} disabled={remove.busy.value} onClick={() => void remove.run()}>
      {words.delete}
    </button>
  );
}

function Form({ deed, close, done }: { deed: Deed; close: () => void; done: () => void }) {
  const name = useSignal("");
  const role = useSignal<string>(deed.kind === "add" ? "viewer" : deed.user.role);
  const password = useSignal("");
  const current = useSignal("");
  const save = useAction(async () => {
    const said = await run(deed, { name: name.value.trim(), role: role.value as Role, password: password.value, current: current.value });
    done();
    return said;
  }, true);
  const problem = save.problem.value;
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void save.run();
      }}
    >
      {deed.kind === "add" && <TextField label={words.name} hint={words.userNameHint} value={name} pointer="/name" problem={problem} required focus />}
      {deed.kind !== "password" && <SelectField label={words.roleField} value={role} options={ROLE_OPTIONS} pointer="/role" problem={problem} />}
      {deed.kind === "password" && (
        <TextField label={words.current} hint={words.currentHint} value={current} type="password" autocomplete="current-password" pointer="/current" problem={problem} />
      )}
      {deed.kind !== "role" && (
        <TextField label={words.password} hint={words.passwordHint} value={password} type="password" autocomplete="new-password" pointer="/password" problem={problem} required />
      )}
      <FormProblem problem={problem} pointers={["/name", "/role", "/current", "/password"]} />
      <p class="dialog-foot">
        <button type="button" class="button" onClick={close}>
          {parts.cancel}
        </button>
        <button type="submit" class="button primary" disabled={save.busy.value}>
          {deed.kind === "add" ? words.addIt : words.save}
        </button>
      </p>
    </form>
  );
}

interface Typed {
  name: string;
  role: Role;
  password: string;
  current: string;
}

async function run(deed: Deed, { name, role, password, current }: Typed): Promise<string> {
  if (deed.kind === "add") {
    await call("POST /api/v1/users", { body: { name, role, password } });
    return words.added(name);
  }
  const path = { name: deed.user.name };
  if (deed.kind === "role") {
    await call("PATCH /api/v1/users/{name}", { path, body: { role } });
    return words.roleChanged(path.name);
  }
  await call("PUT /api/v1/users/{name}/password", { path, body: { password, ...(current && { current }) } });
  return words.passwordSet(path.name);
}
