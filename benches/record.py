#!/usr/bin/env python3
"""Records a real host's series for benches/replay.rs.

    benches/record.py http://127.0.0.1:9100/metrics 640 > recording.csv

Scrapes an exporter once a second on the whole second and writes what the replay
reads: series,timestamp_ms,value, ordered by series, then time. Compress it with gzip.
"""
import csv
import sys
import time
import urllib.request


def main():
    url, seconds = sys.argv[1], int(sys.argv[2])
    series = {}
    for _ in range(seconds):
        time.sleep(1 - time.time() % 1)
        at = int(time.time() * 1000)
        with urllib.request.urlopen(url, timeout=1) as answer:
            for line in answer.read().decode().splitlines():
                if line and not line.startswith("#"):
                    name, value = line.rsplit(" ", 1)
                    series.setdefault(name, []).append((at, value))
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["series", "timestamp_ms", "value"])
    for name in sorted(series):
        out.writerows((name, at, value) for at, value in series[name])


if __name__ == "__main__":
    main()
