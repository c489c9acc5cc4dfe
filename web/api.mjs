/**
 * Writes the types of the API from its document: `node api.mjs`.
 *
 * `../openapi.json` becomes `src/data/api.gen.ts`, which is not committed, so that a
 * changed shape breaks the type check of every page that reads it. A schema of a kind
 * that this does not know is an error, never `any`.
 */

import { readFile, writeFile } from "node:fs/promises";

const document = JSON.parse(await readFile(new URL("../openapi.json", import.meta.url), "utf8"));
const METHODS = ["get", "post", "put", "patch", "delete"];
const REFERENCE = "#/components/schemas/";

const quoted = (text) => JSON.stringify(text);
const union = (types) => [...new Set(types)].join(" | ");

function comment(schema) {
  const words = schema.description?.replaceAll("*/", "* /").replace(/\s+/g, " ").trim();
  return words ? `/** ${words} */ ` : "";
}

function fields(schema, where) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(
    ([name, one]) => `${comment(one)}${quoted(name)}${required.has(name) ? "" : "?"}: ${typeOf(one, `${where}.${name}`)};`,
  );
}

function objectOf(schema, where) {
  const known = fields(schema, where);
  const more = schema.additionalProperties;
  if (typeof more === "object") return `Record<string, ${typeOf(more, `${where}.*`)}>`;
  if (known.length === 0) return "Record<string, unknown>";
  return `{ ${known.join(" ")} }`;
}

function typeOf(schema, where) {
  if (schema.$ref) return `Schemas[${quoted(schema.$ref.slice(REFERENCE.length))}]`;
  if (schema.enum) return union(schema.enum.map(quoted));
  const several = schema.oneOf ?? schema.anyOf;
  if (several) return `(${union(several.map((one, i) => typeOf(one, `${where}|${i}`)))})`;
  if (schema.allOf) return `(${schema.allOf.map((one, i) => typeOf(one, `${where}&${i}`)).join(" & ")})`;
  if (Array.isArray(schema.type)) return `(${union(schema.type.map((type) => typeOf({ ...schema, type }, where)))})`;
  switch (schema.type) {
    case "array":
      return `${typeOf(schema.items ?? {}, `${where}[]`)}[]`;
    case "object":
      return objectOf(schema, where);
    case "integer":
    case "number":
      return "number";
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    case undefined:
      return "unknown";
    default:
      throw new Error(`${where}: no type for ${schema.type}`);
  }
}

/** One part of what a call takes, e.g. `path: {...};`, and whether it may be left out. */
function parameters(operation, place, where) {
  const all = (operation.parameters ?? []).filter((one) => one.in === place);
  if (all.length === 0) return { text: "", free: true };
  const parts = all.map((one) => {
    const type = typeOf(one.schema, where);
    return `${comment(one)}${quoted(one.name)}${one.required ? `: ${type}` : `?: ${type} | undefined`};`;
  });
  const free = all.every((one) => !one.required);
  return { text: `${place}${free ? "?" : ""}: { ${parts.join(" ")} };`, free };
}

function bodyOf(operation, where) {
  const content = Object.values(operation.requestBody?.content ?? {});
  if (content.length === 0) return { text: "", free: true };
  const type = union(content.map((one) => typeOf(one.schema ?? {}, where)));
  const free = operation.requestBody.required !== true;
  return { text: free ? `body?: ${type} | undefined;` : `body: ${type};`, free };
}

/** The arguments of a call after its name. */
function argsOf(operation, where) {
  const parts = [parameters(operation, "path", where), parameters(operation, "query", where), bodyOf(operation, where)];
  const free = parts.every((part) => part.free);
  const texts = [...parts.map((part) => part.text), "signal?: AbortSignal | undefined; quiet?: boolean | undefined;"].filter((text) => text !== "");
  return `[given${free ? "?" : ""}: { ${texts.join(" ")} }]`;
}

/** What may come back besides a problem: health explains itself with a 503, too. */
function answerOf(operation, where) {
  const good = Object.entries(operation.responses).filter(([status]) => status.startsWith("2") || status === "503");
  const types = good.flatMap(([, response]) =>
    Object.entries(response.content ?? {})
      .filter(([media]) => media === "application/json")
      .map(([, one]) => typeOf(one.schema ?? {}, where)),
  );
  return types.length === 0 ? "undefined" : union(types);
}

const schemas = Object.entries(document.components.schemas).map(
  ([name, schema]) => `  ${comment(schema)}${quoted(name)}: ${typeOf(schema, name)};`,
);
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  METHODS.filter((method) => item[method]).map((method) => {
    const operation = item[method];
    const where = `${method.toUpperCase()} ${path}`;
    return `  ${quoted(where)}: { args: ${argsOf(operation, where)}; answer: ${answerOf(operation, where)} };`;
  }),
);
const text = [
  "/** Made from openapi.json by api.mjs; not to be edited. */",
  "export interface Schemas {",
  ...schemas,
  "}",
  "export interface Operations {",
  ...operations,
  "}",
  "",
];
await writeFile(new URL("src/data/api.gen.ts", import.meta.url), text.join("\n"));
