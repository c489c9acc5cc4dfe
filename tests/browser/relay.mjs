/** A wire between the browser and the agent that can be cut, as a switch or a cable fails. */

import { connect, createServer } from "node:net";

export async function relay(base) {
  const { hostname, port } = new URL(base);
  const wires = new Set();
  let state = "whole";
  const server = createServer((near) => {
    if (state === "cut") return near.destroy();
    const far = connect(Number(port), hostname);
    const wire = { near, far };
    wires.add(wire);
    const end = () => {
      wires.delete(wire);
      near.destroy();
      far.destroy();
    };
    for (const [from, to] of [[near, far], [far, near]]) {
      // What is sent into a pulled cable is gone, and nobody hears of it.
      from.on("data", (part) => state === "whole" && to.write(part));
      from.once("close", end);
      from.on("error", end);
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return {
    base: `http://127.0.0.1:${server.address().port}`,
    /** Ends every connection and refuses new ones. */
    cut() {
      state = "cut";
      for (const { near, far } of wires) [near, far].forEach((end) => end.destroy());
    },
    /** Nothing gets through any more, and no connection ends. */
    pull: () => (state = "pulled"),
    mend: () => (state = "whole"),
    close() {
      this.cut();
      server.close();
    },
  };
}
