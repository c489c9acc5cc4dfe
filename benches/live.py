#!/usr/bin/env python3
"""What the running agent costs: CPU, memory, bytes written per sample.

    benches/live.py target/static/holdfast --minutes 10 [--profile flash] [--page] [--data-dir DIR]

Starts the agent on a fresh data directory and a free port, optionally with its
page open in headless Chromium, lets it warm up, and reads the kernel's own
accounts (/proc/PID/stat, smaps_rollup, io) at the start and the end of a window
that begins and ends at a flush. Needs nothing but Python and the kernel.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(base, path):
    with urllib.request.urlopen(base + path, timeout=10) as answer:
        return json.load(answer)


def account(pid):
    """CPU seconds, resident bytes, bytes sent to the device."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    with open(f"/proc/{pid}/smaps_rollup") as file:
        rollup = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in file if line.endswith("kB\n")}
    with open(f"/proc/{pid}/io") as file:
        io = dict(line.strip().split(": ") for line in file)
    return cpu, rollup["Rss"], rollup["Anonymous"], int(io["write_bytes"])


def at_flush(base):
    """Waits until the store has just flushed; returns its statistics."""
    before = get(base, "/api/v1/system")["store"]["flushes_total"]
    while True:
        store = get(base, "/api/v1/system")["store"]
        if store["flushes_total"] > before:
            return store
        time.sleep(0.25)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--warm-up", type=float, default=30, help="seconds before the window")
    parser.add_argument("--profile", choices=["default", "flash"], default="default")
    parser.add_argument("--page", action="store_true", help="with the host page open in Chromium")
    parser.add_argument("--targets", help="file with [[target...]] sections to probe as well")
    parser.add_argument("--data-dir", help="kept afterwards; must be on the disk to be measured")
    options = parser.parse_args()

    folder = options.data_dir or tempfile.mkdtemp(prefix="holdfast-live-")
    config = os.path.join(folder, "holdfast.toml")
    os.makedirs(folder, exist_ok=True)
    with open(config, "w") as file:
        file.write(f'[storage]\nprofile = "{options.profile}"\n')
        if options.targets:
            with open(options.targets) as targets:
                file.write(targets.read())
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    agent = subprocess.Popen(
        [options.binary, "run", "--config", config, "--data-dir", os.path.join(folder, "data"),
         "--listen", f"127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    browser = None
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                get(base, "/readyz")
                break
            except OSError:
                if time.monotonic() > deadline:
                    sys.exit("the agent did not become ready")
                time.sleep(0.05)
        if options.page:
            browser = subprocess.Popen(
                ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                 "--remote-debugging-port=0", f"--user-data-dir={folder}/chromium", "--window-size=1280,900",
                 f"{base}/ui/host"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(options.warm_up)
        store = at_flush(base)
        cpu, _, _, written = account(agent.pid)
        samples, began = store["samples_appended_total"], time.monotonic()
        peak = 0
        while time.monotonic() - began < options.minutes * 60:
            time.sleep(1)
            peak = max(peak, account(agent.pid)[1])
        store = at_flush(base)
        cpu_end, rss, anonymous, written_end = account(agent.pid)
        seconds = time.monotonic() - began
        samples = store["samples_appended_total"] - samples
        print(json.dumps({
            "profile": options.profile,
            "page_open": options.page,
            "seconds": round(seconds, 1),
            "series": store["series"],
            "samples": samples,
            "cpu_seconds_per_hour": round((cpu_end - cpu) / seconds * 3600, 2),
            "rss_mib": round(rss / 2**20, 2),
            "rss_peak_mib": round(peak / 2**20, 2),
            "anonymous_mib": round(anonymous / 2**20, 2),
            "written_bytes_per_sample": round((written_end - written) / max(samples, 1), 3),
            "compactions": store["compactions_total"],
        }, indent=2))
    finally:
        for process in (browser, agent):
            if process:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=15)
        if not options.data_dir:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
