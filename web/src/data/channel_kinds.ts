/**
 * The keys that each kind of channel is set up with. The rest (templates, further
 * certificates, names of files with secrets) is written as TOML beside the form.
 */

import { channelKeys as names } from "../text";

export interface ChannelKey {
  key: string;
  words: string;
  secret?: boolean;
  list?: boolean;
  numeric?: boolean;
  example?: string;
}

const url = (example: string): ChannelKey => ({ key: "url", words: names.url, example });
const secretUrl = (example: string): ChannelKey => ({ key: "url", words: names.url, secret: true, example });
const token: ChannelKey = { key: "token", words: names.token, secret: true };

export const CHANNEL_KINDS: Record<string, readonly ChannelKey[]> = {
  email: [
    { key: "host", words: names.host, example: "mail.example.org" },
    { key: "port", words: names.port, numeric: true, example: "587" },
    { key: "user", words: names.user },
    { key: "password", words: names.password, secret: true },
    { key: "from", words: names.from, example: "holdfast <holdfast@example.org>" },
    { key: "to", words: names.to, list: true, example: "ops@example.org" },
  ],
  webhook: [url("http://127.0.0.1:9000/hook"), { key: "secret", words: names.signing, secret: true, example: "whsec_..." }],
  ntfy: [url("https://ntfy.example"), { key: "topic", words: names.topic }, token],
  gotify: [url("https://gotify.example"), token],
  slack: [secretUrl("https://hooks.slack.com/services/...")],
  discord: [secretUrl("https://discord.com/api/webhooks/...")],
  telegram: [{ key: "chat_id", words: names.chat }, token],
  pagerduty: [{ key: "routing_key", words: names.routing, secret: true }],
  alertmanager: [url("http://127.0.0.1:9093"), token],
  heartbeat: [secretUrl("https://ping.example/..."), { key: "interval", words: names.interval, example: "1m" }],
  file: [{ key: "path", words: names.file, example: "/var/log/holdfast.jsonl" }],
  console: [],
};
