/**
 * The one door to the agent: typed GET requests to the page's own origin.
 *
 * A refusal is an [`ApiError`] with what `application/problem+json` said, so that a
 * page can show title, detail, trace id and a way to try again.
 */

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly code: string,
    readonly traceId: string,
    readonly hint: string,
  ) {
    super(detail === "" ? title : `${title}: ${detail}`);
    this.name = "ApiError";
  }
}

/** Longer than any answer should take; then the request is given up. */
const DEADLINE = 15_000;

export type Parameters = readonly (readonly [string, string | number])[];

const text = (value: unknown): string => (typeof value === "string" ? value : "");

function problemOf(status: number, body: unknown): ApiError {
  const problem = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  return new ApiError(
    status,
    text(problem["title"]) || `The agent answered ${status}`,
    text(problem["detail"]),
    text(problem["code"]),
    text(problem["trace_id"]),
    text(problem["hint"]),
  );
}

/** Whether an error only says that the caller itself gave up. */
export function wasAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return new ApiError(0, "No answer in time", `The agent did not answer within ${DEADLINE / 1000} s.`, "timeout", "", "");
  }
  return new ApiError(0, "The agent cannot be reached", error instanceof Error ? error.message : "", "unreachable", "", "");
}

/**
 * `accept` names statuses besides 2xx whose body is an answer and not an error
 * (health says 503 and still explains itself).
 */
export async function get<T>(
  path: string,
  parameters: Parameters = [],
  options: { signal?: AbortSignal; accept?: readonly number[] } = {},
): Promise<T> {
  const query = new URLSearchParams(parameters.map(([name, value]) => [name, String(value)]));
  const deadline = AbortSignal.timeout(DEADLINE);
  const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline;
  const address = parameters.length === 0 ? path : `${path}?${query}`;
  const response = await fetch(address, { signal, headers: { accept: "application/json" }, credentials: "same-origin" });
  const body: unknown = await response.json().catch(() => undefined);
  const wanted = response.ok || options.accept?.includes(response.status) === true;
  if (!wanted || body === undefined || isProblem(response)) throw problemOf(response.status, body);
  return body as T;
}

function isProblem(response: Response): boolean {
  return (response.headers.get("content-type") ?? "").startsWith("application/problem+json");
}
