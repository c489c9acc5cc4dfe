/** The order of cells: numbers by size, words as people sort them, what is missing last. */

export type Sortable = string | number | boolean | null | undefined;

const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

export function compare(a: Sortable, b: Sortable): number {
  const [noA, noB] = [a === null || a === undefined || a === "", b === null || b === undefined || b === ""];
  if (noA || noB) return Number(noA) - Number(noB);
  if (typeof a === "string" || typeof b === "string") return words.compare(String(a), String(b));
  return Number(a) - Number(b);
}
