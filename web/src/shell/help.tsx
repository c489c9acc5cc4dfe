/** The keys, and what the marks mean. */

import { Dialog } from "../parts/dialog";
import { help } from "../text";
import { helpOpen, KEYS, pageKeys } from "./keyboard";

export function Help() {
  return (
    <Dialog open={helpOpen} title={help.title} id="help">
      <dl class="keys">
        {[...KEYS, ...pageKeys.value].map((key) => (
          <div key={key.key}>
            <dt>
              <kbd>{key.key}</kbd>
            </dt>
            <dd>{key.words}</dd>
          </div>
        ))}
        <div>
          <dt>{help.drag}</dt>
          <dd>{help.dragWords}</dd>
        </div>
        <div>
          <dt>{help.double}</dt>
          <dd>{help.doubleWords}</dd>
        </div>
      </dl>
      <p class="muted">{help.gaps}</p>
    </Dialog>
  );
}
