/**
 * The keys that each kind of target is set up with. The rest (certificates, its breaker's
 * limits) is written as TOML beside the form.
 */

import type { Key } from "../parts/section_form";
import { targetKeys as words, targets } from "../text";

export type TargetKind = keyof typeof targets.kinds;

const url = (example: string): Key => ({ key: "url", words: words.url, example });
const address = (example: string): Key => ({ key: "address", words: words.address, example });
const tls: Key = { key: "tls", words: words.useTls, form: "flag" };
const user: Key = { key: "user", words: words.user, example: "holdfast" };
const passwordFile: Key = { key: "password_file", words: words.passwordFile, example: "/etc/holdfast/pg1" };

const COMMON: readonly Key[] = [
  { key: "interval", words: words.interval, example: "30s" },
  { key: "timeout", words: words.timeout, example: "5s", hint: words.timeoutHint },
  { key: "enabled", words: words.enabled, form: "flag", without: true },
];

const OWN: Record<TargetKind, readonly Key[]> = {
  postgres: [
    { key: "host", words: words.host, example: "127.0.0.1", hint: words.hostHint },
    { key: "port", words: words.port, form: "number", example: "5432" },
    { key: "database", words: words.database, example: "postgres" },
    user,
    passwordFile,
    { key: "tls", words: words.tls, options: ["disable", "prefer", "require", "verify-full"] },
  ],
  object_store: [
    { key: "endpoint", words: words.endpoint, example: "http://127.0.0.1:3900" },
    { key: "region", words: words.region, example: "us-east-1" },
    { key: "bucket", words: words.bucket },
    { key: "access_key_id", words: words.accessKey },
    { key: "secret_access_key_file", words: words.secretFile, example: "/etc/holdfast/backup-a" },
  ],
  redis: [url("redis://127.0.0.1:6379"), user, passwordFile],
  grpc: [address("127.0.0.1:50051"), { key: "service", words: words.service, hint: words.serviceHint }, tls],
  nostr: [url("wss://relay.example")],
  http: [
    url("https://nas.example/health"),
    { key: "method", words: words.method, options: ["GET", "HEAD"] },
    { key: "body_contains", words: words.contains },
    { key: "bearer_token_file", words: words.tokenFile },
  ],
  tcp: [address("127.0.0.1:25"), { key: "expect", words: words.expect, example: "220" }, tls],
  systemd: [{ key: "unit", words: words.unit, example: "nginx.service" }],
};

export function keysOf(kind: string): readonly Key[] {
  return kind in OWN ? [...OWN[kind as TargetKind], ...COMMON] : COMMON;
}
