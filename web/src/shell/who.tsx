/** Who is signed in, with the way in and out. */

import { signIn, signOut, who } from "../data/session";
import { Icon } from "../parts/icon";
import { toast } from "../parts/toast";
import { login, shell } from "../text";

export async function leave(): Promise<void> {
  await signOut();
  toast("ok", login.out);
}

export function Who() {
  const name = who.value;
  return (
    <button type="button" onClick={() => void (name === "" ? signIn() : leave())} title={name === "" ? shell.signIn : shell.signedIn(name)}>
      <Icon name={name === "" ? "enter" : "leave"} size={18} />
      <span>{name === "" ? shell.signIn : shell.signOut}</span>
    </button>
  );
}
