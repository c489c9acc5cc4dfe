/**
 * The way in: a token, or user and password. As a dialog when a call was refused, which
 * then goes on by itself; as a page for who comes to sign in first.
 */

import { useComputed, useSignal } from "@preact/signals";

import { asProblem } from "../data/api";
import { asking, closeSignIn, present, who } from "../data/session";
import { Dialog } from "../parts/dialog";
import { TextField } from "../parts/form";
import { toast } from "../parts/toast";
import { navigate } from "../router";
import { login } from "../text";

function SignInForm({ done, cancel }: { done: () => void; cancel?: () => void }) {
  const byPassword = useSignal(false);
  const token = useSignal("");
  const user = useSignal("");
  const password = useSignal("");
  const refused = useSignal("");
  const busy = useSignal(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    busy.value = true;
    try {
      const given = byPassword.value ? { user: user.value, password: password.value } : { token: token.value.trim() };
      const why = await present(given);
      refused.value = why === undefined ? "" : why || login.wrong;
      if (why === undefined) {
        toast("ok", login.done(who.value));
        done();
      }
    } catch (error) {
      refused.value = asProblem(error).message;
    }
    busy.value = false;
  };
  return (
    <form onSubmit={(event) => void submit(event)} class="form">
      {byPassword.value ? (
        <>
          <TextField label={login.user} value={user} autocomplete="username" required />
          <TextField label={login.password} value={password} type="password" autocomplete="current-password" required />
        </>
      ) : (
        <TextField label={login.token} value={token} type="password" autocomplete="off" hint={login.tokenHint} required focus />
      )}
      {refused.value !== "" && (
        <p class="form-problem" role="alert">
          {refused.value}
        </p>
      )}
      <p class="dialog-foot">
        <button type="button" class="button plain" onClick={() => (byPassword.value = !byPassword.value)}>
          {byPassword.value ? login.useToken : login.usePassword}
        </button>
        <span class="spring" />
        {cancel && (
          <button type="button" class="button" onClick={cancel}>
            {login.cancel}
          </button>
        )}
        <button type="submit" class="button primary" disabled={busy.value}>
          {login.submit}
        </button>
      </p>
    </form>
  );
}

/** Open while a call waits for credentials. */
export function SignInDialog() {
  const open = useComputed(() => asking.value !== undefined);
  return (
    <Dialog open={open} onClose={() => asking.peek() !== undefined && closeSignIn(false)} title={login.title}>
      <p class="muted">{asking.value || login.why}</p>
      <SignInForm done={() => closeSignIn(true)} cancel={() => closeSignIn(false)} />
    </Dialog>
  );
}

export function LoginPage() {
  return (
    <section class="card login">
      <h1>{login.title}</h1>
      {who.value !== "" && <p class="muted">{login.already(who.value)}</p>}
      <SignInForm done={() => navigate("/")} />
    </section>
  );
}
