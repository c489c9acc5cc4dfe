/**
 * An agent of the checks' own: started on a free port with a folder of its own, ended by
 * its process id, started again on the same port and data.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export class Agent {
  /** Runs `binary`; `config` is the text of its file. */
  static async start(binary, config = "") {
    const agent = new Agent();
    agent.binary = binary;
    agent.folder = mkdtempSync(join(tmpdir(), "holdfast-page-"));
    agent.listen = "127.0.0.1:0";
    writeFileSync(join(agent.folder, "holdfast.toml"), config);
    // Whatever ends the checks ends their agents.
    process.once("exit", () => agent.child?.kill("SIGKILL"));
    await agent.begin();
    agent.token = readFileSync(join(agent.folder, "data", "admin.token"), "utf8").trim();
    return agent;
  }

  /** Starts it, at the first time on a free port and then on that one, and waits until it is ready. */
  async begin() {
    const log = openSync(join(this.folder, "log"), "a");
    const args = ["run", "--config", join(this.folder, "holdfast.toml"), "--data-dir", join(this.folder, "data"), "--listen", this.listen];
    this.child = spawn(this.binary, args, { stdio: ["ignore", "pipe", log] });
    this.ended = new Promise((done) => this.child.once("exit", done));
    for await (const line of createInterface({ input: this.child.stdout })) {
      const [word, value] = line.split(/\s+/);
      if (word === "page") this.base = value.replace(/\/ui\/$/, "");
      if (word === "ready") break;
    }
    assert.ok(this.base && this.child.exitCode === null, `the agent did not start:\n${readFileSync(join(this.folder, "log"), "utf8")}`);
    this.listen = new URL(this.base).host;
  }

  /** Ends it as a crash does. */
  async kill() {
    this.child.kill("SIGKILL");
    await this.ended;
  }

  async stop() {
    this.child.kill("SIGTERM");
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
