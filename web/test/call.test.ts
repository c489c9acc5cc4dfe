import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { addressOf, call, Problem } from "../src/data/api";
import { asking, closeSignIn, present, signIn } from "../src/data/session";

const json = (status: number, body: unknown, type = "application/json") =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": type } });
const problem = (status: number, code: string, more = {}) =>
  json(status, { title: "No", status, detail: "because", code, ...more }, "application/problem+json");

let answers: (() => Response)[];
let asked: { url: string; init: RequestInit }[];

beforeEach(() => {
  answers = [];
  asked = [];
  vi.stubGlobal("fetch", async (url: string, init: RequestInit = {}) => {
    asked.push({ url, init });
    const next = answers.shift();
    if (!next) throw new TypeError("no answer");
    return next();
  });
});

afterEach(() => {
  closeSignIn(true);
  vi.unstubAllGlobals();
});

const header = (i: number, name: string) => (asked[i]?.init.headers as Record<string, string> | undefined)?.[name];

describe("addresses", () => {
  test("parameters are escaped, repeated, left out", () => {
    expect(addressOf("/a/{name}/b", { path: { name: "x/ y" } })).toBe("/a/x%2F%20y/b");
    expect(addressOf("/a", { query: { query: ["up", "a b"], limit: 3, gone: undefined, flag: false } })).toBe(
      "/a?query=up&query=a+b&limit=3&flag=false",
    );
  });
});

describe("calls", () => {
  test("a refusal is a problem with its fields", async () => {
    answers = [() => problem(422, "config_invalid", { hint: "h", trace_id: "t", errors: [{ pointer: "/expr", detail: "d" }] })];
    const error = await call("POST /api/v1/monitoring/rules", { body: {} }).catch((one: unknown) => one);
    expect(error).toBeInstanceOf(Problem);
    expect(error).toMatchObject({ status: 422, code: "config_invalid", hint: "h", traceId: "t", errors: [{ pointer: "/expr" }] });
  });

  test("a health that is bad is an answer", async () => {
    answers = [() => json(503, { status: "unhealthy" })];
    expect(await call("GET /api/v1/health")).toEqual({ status: "unhealthy" });
  });

  test("the protocol of Prometheus has errors of its own form", async () => {
    answers = [() => json(400, { status: "error", errorType: "bad_data", error: "1:3: parse error" })];
    await expect(call("GET /prometheus/api/v1/query", { query: { query: "x(" } })).rejects.toMatchObject({ detail: "1:3: parse error" });
  });

  test("one that needs credentials asks once, and then goes on with them", async () => {
    answers = [
      () => problem(401, "unauthorized"),
      () => problem(401, "unauthorized"),
      () => problem(404, "not_found"),
      () => json(200, {}),
      () => json(200, { delivered: true }),
      () => json(200, { delivered: true }),
    ];
    const path = { name: "ops" };
    const both = [
      call("POST /api/v1/monitoring/channels/{name}/test", { path }),
      call("POST /api/v1/monitoring/channels/{name}/test", { path }),
    ];
    await vi.waitFor(() => expect(asking.value).toBe("because"));
    expect(await present({ token: "hf_secret" })).toBeUndefined();
    closeSignIn(true);
    expect(await Promise.all(both)).toHaveLength(2);
    expect(header(5, "authorization")).toBe("Bearer hf_secret");
  });

  test("a declined one is refused, and reading does not ask again by itself", async () => {
    answers = [() => problem(401, "unauthorized"), () => problem(401, "unauthorized")];
    const first = call("GET /api/v1/targets");
    const refused = expect(first).rejects.toMatchObject({ status: 401 });
    await vi.waitFor(() => expect(asking.value).toBeDefined());
    closeSignIn(false);
    await refused;
    await expect(call("GET /api/v1/targets")).rejects.toMatchObject({ status: 401 });
    expect(asking.value).toBeUndefined();
  });

  test("a quiet one never asks", async () => {
    answers = [() => problem(403, "forbidden")];
    await expect(call("GET /api/v1/audit", { quiet: true })).rejects.toMatchObject({ status: 403 });
    expect(asking.value).toBeUndefined();
  });
});

describe("signing in", () => {
  test("two that wait share one dialog", async () => {
    const both = Promise.all([signIn("a"), signIn("b")]);
    expect(asking.value).toBe("a");
    closeSignIn(true);
    expect(await both).toEqual([true, true]);
  });

  test("an agent with sessions gets no token kept here", async () => {
    answers = [() => json(200, { who: "anna" }), () => json(200, { items: [], total: 0 })];
    expect(await present({ user: "anna", password: "x" })).toBeUndefined();
    await call("GET /api/v1/targets");
    expect(header(1, "authorization")).toBeUndefined();
  });

  test("why it failed is said", async () => {
    answers = [() => problem(401, "bad_token")];
    expect(await present({ user: "anna", password: "y" })).toBe("because");
  });
});
