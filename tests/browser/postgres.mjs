/**
 * Real PostgreSQL servers for the pages about failover: a primary and a standby in a folder
 * of their own, on free ports, ended by their process ids.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { appendFileSync, chownSync, closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The account that the servers run as when the tests run as root, which they refuse to be. */
const NOBODY = 65534;
const root = process.getuid?.() === 0;
const account = root ? { uid: NOBODY, gid: NOBODY } : {};

const GRANTS = `
  create role holdfast login replication;
  grant pg_monitor, pg_signal_backend to holdfast;
  grant execute on function pg_promote(boolean, integer), pg_reload_conf() to holdfast;
  grant alter system on parameter primary_conninfo, synchronous_standby_names, default_transaction_read_only to holdfast;`;

function programs() {
  const home = "/usr/lib/postgresql";
  const found = existsSync(home) ? readdirSync(home).map((version) => join(home, version, "bin")) : [];
  const newest = found.filter((bin) => existsSync(join(bin, "postgres"))).sort().at(-1);
  assert.ok(newest, `no PostgreSQL in ${home}: install it with \`apt-get install postgresql\``);
  return newest;
}

export async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

class Server {
  constructor(folder, name, port) {
    Object.assign(this, { folder, name, port, data: join(folder, name) });
  }

  async run(program, args) {
    // A server inherits what it prints to, and a pipe would never end.
    const log = join(this.folder, `${this.name}.${program}.out`);
    const out = openSync(log, "a");
    const piped = program !== "pg_ctl";
    const child = spawn(join(programs(), program), args, { ...account, cwd: this.folder, stdio: ["ignore", piped ? "pipe" : out, out] });
    closeSync(out);
    let said = "";
    child.stdout?.setEncoding("utf8").on("data", (part) => (said += part));
    const status = await new Promise((done, failed) => child.once(piped ? "close" : "exit", done).once("error", failed));
    const own = `${this.data}.log`;
    const last = existsSync(own) ? readFileSync(own, "utf8").split("\n").slice(-20).join("\n") : "";
    assert.equal(status, 0, `${program} ${args.join(" ")}: ${readFileSync(log, "utf8")}\n${last}`);
    return said.trim();
  }

  set(text) {
    appendFileSync(join(this.data, "postgresql.auto.conf"), `${text}\n`);
  }

  settle() {
    this.set(`port = ${this.port}
listen_addresses = '127.0.0.1'
unix_socket_directories = '${this.folder}'
cluster_name = '${this.name}'
fsync = off
shared_buffers = 16MB
wal_log_hints = on
wal_keep_size = 256MB
wal_retrieve_retry_interval = 100ms`);
  }

  async start() {
    await this.run("pg_ctl", ["-D", this.data, "-l", `${this.data}.log`, "-w", "-t", "120", "start"]);
  }

  psql(sql) {
    return this.run("psql", ["-h", "127.0.0.1", "-p", String(this.port), "-U", "postgres", "-d", "postgres", "-Atqc", sql]);
  }

  slotFor(name) {
    return this.psql(`select pg_create_physical_replication_slot('${name}', true) where not exists (select from pg_replication_slots where slot_name = '${name}')`);
  }

  /**
   * Its processes, those that the first of them started after it: all of them work in its
   * data folder. One that is left over holds the shared memory, and no server starts then.
   */
  pids() {
    const here = (pid) => {
      try {
        return readlinkSync(`/proc/${pid}/cwd`) === this.data;
      } catch {
        return false;
      }
    };
    return readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && here(pid)).map(Number).sort((a, b) => a - b);
  }

  /** Ends it as a crash does. */
  signal() {
    for (const pid of this.pids()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch (error) {
        if (error.code !== "ESRCH") throw error;
      }
    }
  }

  /** The same, and waits until no process of it is left, not even one that was just begun. */
  async kill() {
    while (this.pids().length > 0) {
      this.signal();
      await new Promise(setImmediate);
    }
    // Both name a process that its parent may not have waited for yet, which counts as one that runs.
    for (const lock of [join(this.data, "postmaster.pid"), join(this.folder, `.s.PGSQL.${this.port}.lock`)]) rmSync(lock, { force: true });
  }

  /** Makes it a standby of `head` again, as an operator does with the command of the page. */
  async rejoin(head) {
    await this.kill();
    await head.psql("checkpoint");
    const source = `host=127.0.0.1 port=${head.port} user=postgres dbname=postgres`;
    await this.run("pg_rewind", ["-D", this.data, "--source-server", source, "-R"]);
    this.settle();
    this.set(`primary_conninfo = 'host=127.0.0.1 port=${head.port} user=postgres application_name=${this.name}'\nprimary_slot_name = '${this.name}'`);
    await this.start();
    await this.slotFor(head.name);
  }
}

/** A primary and a standby that streams from it. */
export async function pair(first, second) {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-browser-"));
  if (root) chownSync(folder, NOBODY, NOBODY);
  const primary = new Server(folder, first, await freePort());
  const standby = new Server(folder, second, await freePort());
  const both = [primary, standby];
  const stop = async () => {
    for (const server of both) await server.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  // Servers outlive the process that started them: whatever ends this one ends them.
  process.once("exit", () => both.forEach((server) => server.signal()));
  try {
    await primary.run("initdb", ["-D", primary.data, "-U", "postgres", "-A", "trust", "-N", "--no-instructions"]);
    primary.settle();
    await primary.start();
    await primary.psql(GRANTS);
    const source = `host=127.0.0.1 port=${primary.port} user=postgres application_name=${second}`;
    await standby.run("pg_basebackup", ["-d", source, "-D", standby.data, "-R", "-X", "stream", "-c", "fast", "-C", "-S", second, "-N"]);
    standby.settle();
    await standby.start();
    primary.set(`primary_slot_name = '${first}'`);
    await standby.slotFor(first);
  } catch (error) {
    await stop();
    throw error;
  }
  return { primary, standby, stop };
}
