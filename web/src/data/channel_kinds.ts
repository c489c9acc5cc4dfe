/**
 * The keys that each kind of channel is set up with. The rest (templates, further
 * certificates, names of files with secrets) is written as TOML beside the form.
 */

export interface ChannelKey {
  key: string;
  words: string;
  secret?: boolean;
  list?: boolean;
  numeric?: boolean;
  example?: string;
}

const url = (example: string): ChannelKey => ({ key: "url", words: "URL", example });
const secretUrl = (example: string): ChannelKey => ({ key: "url", words: "URL", secret: true, example });
const token: ChannelKey = { key: "token", words: "Token", secret: true };

export const CHANNEL_KINDS: Record<string, readonly ChannelKey[]> = {
  email: [
    { key: "host", words: "Host", example: "mail.example.org" },
    { key: "port", words: "Port", numeric: true, example: "587" },
    { key: "user", words: "User" },
    { key: "password", words: "Password", secret: true },
    { key: "from", words: "From", example: "holdfast <holdfast@example.org>" },
    { key: "to", words: "To", list: true, example: "ops@example.org" },
  ],
  webhook: [url("http://127.0.0.1:9000/hook"), { key: "secret", words: "Secret that signs", secret: true, example: "whsec_..." }],
  ntfy: [url("https://ntfy.example"), { key: "topic", words: "Topic" }, token],
  gotify: [url("https://gotify.example"), token],
  slack: [secretUrl("https://hooks.slack.com/services/...")],
  discord: [secretUrl("https://discord.com/api/webhooks/...")],
  telegram: [{ key: "chat_id", words: "Chat" }, token],
  pagerduty: [{ key: "routing_key", words: "Routing key", secret: true }],
  alertmanager: [url("http://127.0.0.1:9093"), token],
  heartbeat: [secretUrl("https://ping.example/..."), { key: "interval", words: "Interval", example: "1m" }],
  file: [{ key: "path", words: "File", example: "/var/log/holdfast.jsonl" }],
  console: [],
};
