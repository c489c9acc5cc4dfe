/** The few marks that the help is written with, as a tree. Pure: what draws it is elsewhere. */

export type Inline = string | { code: string } | { link: string; words: string };

export type Block =
  | { kind: "heading"; text: string }
  | { kind: "lines"; text: string }
  | { kind: "items"; items: string[] }
  | { kind: "paragraph"; text: string };

export function inlines(text: string): Inline[] {
  const found: Inline[] = [];
  let at = 0;
  for (const one of text.matchAll(/`([^`]+)`|\[([^\]]+)\]\(([^)]+)\)/g)) {
    if (one.index > at) found.push(text.slice(at, one.index));
    found.push(one[1] === undefined ? { words: one[2] ?? "", link: one[3] ?? "" } : { code: one[1] });
    at = one.index + one[0].length;
  }
  if (at < text.length) found.push(text.slice(at));
  return found;
}

export function blocks(text: string): Block[] {
  const found: Block[] = [];
  for (const line of text.trim().split("\n")) {
    const last = found.at(-1);
    if (line.startsWith("## ")) found.push({ kind: "heading", text: line.slice(3) });
    else if (line.startsWith("    ")) {
      if (last?.kind === "lines") last.text += `\n${line.slice(4)}`;
      else found.push({ kind: "lines", text: line.slice(4) });
    } else if (line.startsWith("- ")) {
      if (last?.kind === "items") last.items.push(line.slice(2));
      else found.push({ kind: "items", items: [line.slice(2)] });
    } else if (line.trim() !== "") found.push({ kind: "paragraph", text: line });
  }
  return found;
}
