import { describe, expect, it } from "vitest";

import { curlOf, exampleOf, filled, operationsOf, type ApiDocument } from "../src/data/api_document";

const document: ApiDocument = {
  paths: {
    "/a/{name}": {
      get: {
        tags: ["t"],
        parameters: [
          { name: "name", in: "path", required: true },
          { name: "q", in: "query" },
          { name: "match[]", in: "query", schema: { type: "array" } },
        ],
      },
      put: {
        parameters: [{ name: "name", in: "path" }, { name: "If-Match", in: "header" }],
        requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/Thing" } } } },
        security: [{ token: ["admin"] }, { key: ["admin"] }],
      },
    },
  },
  components: {
    schemas: {
      Thing: {
        type: "object",
        required: ["name", "kind", "size", "inner"],
        properties: {
          name: { type: "string" },
          kind: { enum: ["x", "y"] },
          size: { type: ["integer", "null"] },
          inner: { type: "array", items: { $ref: "#/components/schemas/Thing" } },
          free: { type: "boolean" },
        },
      },
    },
  },
};
const [get, put] = operationsOf(document);

describe("the document of the API", () => {
  it("is a list of operations", () => {
    expect(operationsOf(document).map((one) => one.id)).toEqual(["GET /a/{name}", "PUT /a/{name}"]);
    expect(put?.scopes).toEqual(["admin"]);
  });

  it("has bodies to begin from, also where a schema names itself", () => {
    const example = exampleOf(document, { $ref: "#/components/schemas/Thing" }) as Record<string, unknown>;
    expect(Object.keys(example)).toEqual(["name", "kind", "size", "inner"]);
    expect(example).toMatchObject({ name: "", kind: "x", size: 0 });
    expect(put?.body?.example).toContain('"kind": "x"');
  });

  it("becomes a request and a line for a shell", () => {
    if (!get || !put) throw new Error("missing");
    expect(filled(get, { name: "x y", q: "", "match[]": "a\nb" }, "").address).toBe("/a/x%20y?match%5B%5D=a&match%5B%5D=b");
    const request = filled(put, { name: "x", "If-Match": '"e"' }, `{"a":"it's"}`);
    expect(request.headers).toEqual({ "If-Match": '"e"', "content-type": "application/json" });
    expect(curlOf("http://h", put, request)).toBe(
      [
        "curl -sS -X PUT 'http://h/a/x' \\",
        `  -H "Authorization: Bearer $HOLDFAST_TOKEN" \\`,
        `  -H 'If-Match: "e"' \\`,
        "  -H 'content-type: application/json' \\",
        `  --data-raw '{"a":"it'\\''s"}'`,
      ].join("\n"),
    );
  });
});
