/** The marks of the charts as words: what a canvas shows, nobody hears. */

import { href } from "../router";
import { marks as words } from "../text";
import type { Mark } from "./plot";
import { Shape } from "./status";
import { Clock } from "./when";

const MOST = 50;

export function MarkList({ marks }: { marks: readonly Mark[] }) {
  if (marks.length === 0) return null;
  const newest = [...marks].reverse().slice(0, MOST);
  return (
    <details class="mark-list">
      <summary>{words.title(marks.length)}</summary>
      <ul class="rows">
        {newest.map((mark, i) => (
          <li key={i}>
            <Shape tone={mark.tone} />
            <span class="tag">{words.kinds[mark.kind]}</span>
            {mark.href ? <a href={href(mark.href)}>{mark.text}</a> : <span>{mark.text}</span>}
            <Clock at={new Date(mark.at).toISOString()} />
          </li>
        ))}
      </ul>
    </details>
  );
}
