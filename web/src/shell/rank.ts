/** Which names come first for what was typed: the start of a name, of a word, any part, letters in order. */

function score(name: string, typed: string): number {
  const at = name.indexOf(typed);
  if (at === 0) return 0;
  if (at > 0) return name[at - 1] === " " ? 1 : 2;
  let from = 0;
  for (const letter of typed) {
    const next = name.indexOf(letter, from);
    if (next < 0) return -1;
    from = next + 1;
  }
  return 3;
}

/** Those that match at all, best first; in their own order where nothing was typed. */
export function ranked<T>(all: readonly T[], typed: string, name: (one: T) => string): T[] {
  const wanted = typed.trim().toLowerCase();
  return all
    .map((one) => ({ one, score: score(name(one).toLowerCase(), wanted) }))
    .filter(({ score }) => score >= 0)
    .sort((a, b) => a.score - b.score)
    .map(({ one }) => one);
}
