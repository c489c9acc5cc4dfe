/** The label of a button that works for a while, in a room that is wide enough for both of its words. */

export function Either({ busy, rest, work }: { busy: boolean; rest: string; work: string }) {
  return (
    <span class="either">
      <span>{busy ? work : rest}</span>
      <span aria-hidden="true">{busy ? rest : work}</span>
    </span>
  );
}
