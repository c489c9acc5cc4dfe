/** What is done with the configuration as a whole: read again, exported, sealed anew. */

import { useSignal } from "@preact/signals";

import { call } from "../../data/api";
import { exportToml } from "../../data/config";
import { useAction } from "../../parts/action";
import { Command } from "../../parts/command";
import { confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { settings as words } from "../../text";

export function Deeds({ reload }: { reload: () => void }) {
  const open = useSignal(false);
  const text = useSignal("");
  const read = useAction(async () => {
    const { changed } = await call("POST /api/v1/config/reload").finally(reload);
    return words.reloaded(changed.length);
  });
  const take = useAction(async () => {
    text.value = await exportToml();
    open.value = true;
  });
  const rotate = useAction(async () => {
    if (!(await confirm({ title: words.rotateTitle, text: words.rotateText, action: words.rotate }))) return;
    return words.rotated((await call("POST /api/v1/config/rotate-key")).sealed);
  });
  return (
    <span class="row-actions">
      <button type="button" class="button" disabled={rotate.busy.value} onClick={() => void rotate.run()}>
        {words.rotate}
      </button>
      <button type="button" class="button" disabled={take.busy.value} onClick={() => void take.run()}>
        {words.export}
      </button>
      <button type="button" class="button" disabled={read.busy.value} onClick={() => void read.run()}>
        {words.reload}
      </button>
      <Dialog open={open} title={words.exportTitle} kind="wide">
        <p class="muted">{words.exportText}</p>
        <Command text={text.value} label={words.exportLabel} />
      </Dialog>
    </span>
  );
}
