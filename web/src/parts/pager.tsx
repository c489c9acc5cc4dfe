/** Which part of a long list is shown; the URL keeps the offset. */

import { filter, setFilters } from "../router";
import { parts } from "../text";

/** Where the shown part begins. */
export function offsetOf(): number {
  const given = Number.parseInt(filter("offset"), 10);
  return Number.isFinite(given) && given > 0 ? given : 0;
}

export function Pager({ total, limit }: { total: number; limit: number }) {
  const at = offsetOf();
  if (total <= limit && at === 0) return null;
  const show = (offset: number) => setFilters({ offset: offset <= 0 ? "" : String(offset) });
  return (
    <nav class="pager" aria-label={parts.pages}>
      <button type="button" class="button" disabled={at === 0} onClick={() => show(at - limit)}>
        {parts.earlier}
      </button>
      <span class="muted">{parts.shown(Math.min(at + 1, total), Math.min(at + limit, total), total)}</span>
      <button type="button" class="button" disabled={at + limit >= total} onClick={() => show(at + limit)}>
        {parts.later}
      </button>
    </nav>
  );
}
