#!/usr/bin/env python3
"""What a proxy in front of PostgreSQL costs: CPU per transaction, beside others.

    cargo bench --bench proxy --no-run        # prints the path of the program
    benches/proxy.py target/release/deps/proxy-... [--rounds 5] [--seconds 8]

One run with interleaved rounds of `pgbench -S`: straight to the server, then
through HAProxy, PgBouncer and holdfast. CPU is what the kernel charged to the
proxy's process (/proc/PID/stat) divided by the transactions of the round; rates
are not compared, because more processes get a larger share of a busy machine.
The server lives in a scratch directory on a free port, as the user postgres.
Needs haproxy, pgbouncer and postgresql of the distribution.
"""
import argparse
import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def programs():
    root = "/usr/lib/postgresql"
    newest = max(os.listdir(root), key=lambda name: int(name) if name.isdigit() else 0)
    return os.path.join(root, newest, "bin")


def account(pid):
    """CPU seconds of the process and resident KiB."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    with open(f"/proc/{pid}/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    return (int(fields[11]) + int(fields[12])) / TICKS, resident


def as_postgres(folder):
    """Arguments of Popen that make the program run as postgres when we are root."""
    if os.getuid() != 0:
        return {"cwd": folder}
    user = pwd.getpwnam("postgres")
    return {"cwd": folder, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def wait_for(port):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nobody listens on port {port}")


class Bench:
    def __init__(self, options):
        self.options = options
        self.bin = programs()
        self.folder = tempfile.mkdtemp(prefix="holdfast-proxy-")
        os.chmod(self.folder, 0o755)
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self.server_port = free_port()
        self.children = []
        # name -> (port, pid or None)
        self.ways = {"direct": (self.server_port, None)}

    def run(self, program, *arguments):
        done = subprocess.run([os.path.join(self.bin, program), *arguments], text=True, capture_output=True,
                              **as_postgres(self.folder))
        if done.returncode != 0:
            raise SystemExit(f"{program}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def start(self, *command):
        with open(os.path.join(self.folder, f"{os.path.basename(command[0])}.log"), "ab") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log, **as_postgres(self.folder))
        self.children.append(child)
        return child.pid

    def start_server(self):
        data = os.path.join(self.folder, "data")
        self.run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N")
        self.start(os.path.join(self.bin, "postgres"), "-D", data, "-p", str(self.server_port), "-k", self.folder,
                   "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300", "-c", "fsync=off",
                   "-c", "autovacuum=off", "-c", "shared_buffers=256MB")
        wait_for(self.server_port)
        self.run("pgbench", "-h", "127.0.0.1", "-p", str(self.server_port), "-U", "postgres", "-q", "-i",
                 "-s", str(self.options.scale), "postgres")

    def add(self, name, port, *command):
        pid = self.start(*command)
        wait_for(port)
        self.ways[name] = (port, pid)

    def start_haproxy(self):
        port, path = free_port(), os.path.join(self.folder, "haproxy.cfg")
        with open(path, "w") as file:
            file.write(f"global\n  maxconn 2000\n  nbthread {os.cpu_count()}\ndefaults\n  mode tcp\n"
                       "  timeout connect 2s\n  timeout client 1h\n  timeout server 1h\n"
                       f"listen pg\n  bind 127.0.0.1:{port}\n  server one 127.0.0.1:{self.server_port}\n")
        self.add("haproxy", port, "/usr/sbin/haproxy", "-db", "-f", path)

    def start_pgbouncer(self):
        port, path = free_port(), os.path.join(self.folder, "pgbouncer.ini")
        with open(path, "w") as file:
            # `auth_type = any` takes the user from here.
            file.write(f"[databases]\npostgres = user=postgres host=127.0.0.1 port={self.server_port}\n"
                       f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n"
                       "pool_mode = session\nmax_client_conn = 1000\ndefault_pool_size = 200\n"
                       "unix_socket_dir =\nlog_connections = 0\nlog_disconnections = 0\n")
        self.add("pgbouncer", port, "/usr/sbin/pgbouncer", path)

    def start_ours(self):
        port = free_port()
        self.add("holdfast", port, self.options.program, f"127.0.0.1:{port}", f"127.0.0.1:{self.server_port}")
        for given in self.options.also:
            name, command = given.split("=", 1)
            port = free_port()
            words = command.format(listen=f"127.0.0.1:{port}", target=f"127.0.0.1:{self.server_port}").split()
            self.add(name, port, *words)

    def round(self, name, clients, seconds):
        """Microseconds of the proxy's CPU per transaction, rate, mean latency in ms, resident KiB."""
        port, pid = self.ways[name]
        before = account(pid)[0] if pid else 0
        said = self.run("pgbench", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-n", "-S",
                        "-M", self.options.protocol, "-c", str(clients), "-j", str(min(clients, 2)),
                        "-T", str(seconds), "postgres")
        cpu, resident = account(pid) if pid else (0, 0)
        number = lambda pattern: float(re.search(pattern, said).group(1))
        transactions = number(r"actually processed: (\d+)")
        return ((cpu - before) / transactions * 1e6, number(r"tps = ([\d.]+)"),
                number(r"latency average = ([\d.]+)"), resident)

    def measure(self):
        table = {name: [] for name in self.ways}
        for _ in range(self.options.rounds):
            for name in self.ways:
                table[name].append(self.round(name, self.options.clients, self.options.seconds))
        print(f"pgbench -S -M {self.options.protocol} -c {self.options.clients} -j {min(self.options.clients, 2)} -T {self.options.seconds}, "
              f"{self.options.rounds} interleaved rounds, load {os.getloadavg()[0]:.1f}")
        print(f"{'':12} {'proxy CPU us/tx':>24} {'tps':>30} {'latency ms':>20} {'RSS KiB':>9}")
        spread = lambda values, form: " / ".join(
            form.format(value) for value in (min(values), statistics.median(values), max(values)))
        base = [row[0] for row in table["haproxy"]] if "haproxy" in table else None
        for name, rows in table.items():
            cpu, tps, latency, resident = zip(*rows)
            ratio = f"  {statistics.median(cpu) / statistics.median(base):.2f} x haproxy" if base and any(cpu) else ""
            print(f"{name:12} {spread(cpu, '{:.1f}'):>24} {spread(tps, '{:.0f}'):>30} "
                  f"{spread(latency, '{:.2f}'):>20} {max(resident):>9}{ratio}")

    def stop(self):
        for child in reversed(self.children):
            child.send_signal(signal.SIGINT)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=os.path.abspath, help="the bench program: it takes a listening and a target address")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--scale", type=int, default=10)
    parser.add_argument("--protocol", default="simple", choices=["simple", "extended", "prepared"])
    parser.add_argument("--also", action="append", default=[], metavar="NAME=COMMAND",
                        help="another proxy; {listen} and {target} stand for its addresses")
    bench = Bench(parser.parse_args())
    try:
        bench.start_server()
        bench.start_haproxy()
        bench.start_pgbouncer()
        bench.start_ours()
        bench.measure()
    finally:
        bench.stop()


if __name__ == "__main__":
    main()
