/** Matchers of silences, so far as a preview needs them; the agent decides. */

export interface Matcher {
  label: string;
  test: (value: string) => boolean;
}

const FORM = /^([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*(.*)$/;

/** `label="value"` and its relatives; undefined for what is none. */
export function parseMatcher(text: string): Matcher | undefined {
  const [, label, op, given] = FORM.exec(text.trim()) ?? [];
  if (label === undefined || given === undefined) return undefined;
  let wanted = given;
  try {
    if (given.startsWith('"')) wanted = JSON.parse(given) as string;
    if (op === "=") return { label, test: (value) => value === wanted };
    if (op === "!=") return { label, test: (value) => value !== wanted };
    // A pattern means the whole value, as with Prometheus.
    const pattern = new RegExp(`^(?:${wanted})$`, "u");
    return { label, test: (value) => pattern.test(value) === (op === "=~") };
  } catch {
    return undefined;
  }
}

/** A label that is missing is empty. */
export function matchesAll(matchers: readonly Matcher[], labels: Readonly<Record<string, string>>): boolean {
  return matchers.every((one) => one.test(labels[one.label] ?? ""));
}
