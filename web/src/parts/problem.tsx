/** What went wrong, in the words of the agent, with a way to try again. */

import type { Problem } from "../data/api";
import { parts } from "../text";

export function ProblemCard({ error, retry, what }: { error: Problem; retry: () => void; what: string }) {
  return (
    <div class="problem" role="alert">
      <p class="problem-title">
        {what}: {error.title}
      </p>
      {error.detail !== "" && <p>{error.detail}</p>}
      {error.hint !== "" && <p>{error.hint}</p>}
      <p class="problem-foot">
        <button type="button" class="button" onClick={retry}>
          {parts.tryAgain}
        </button>
        {error.status > 0 && <span>{parts.status(error.status)}</span>}
        {error.code !== "" && <span>{error.code}</span>}
        {error.traceId !== "" && <span>{parts.traceId(error.traceId)}</span>}
      </p>
    </div>
  );
}
