/**
 * The API's own document as a list of operations that can be tried.
 *
 * Pure. Wrong would be to type this by `api.gen.ts`: the page shows whatever document the
 * agent serves, also of another version.
 */

interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  example?: unknown;
  default?: unknown;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  oneOf?: Schema[];
  anyOf?: Schema[];
  allOf?: Schema[];
  additionalProperties?: unknown;
}

interface Media {
  schema?: Schema;
  example?: unknown;
}

export interface Parameter {
  name: string;
  in: "path" | "query" | "header";
  description?: string;
  required?: boolean;
  schema?: Schema;
  example?: unknown;
}

interface WireOperation {
  tags?: string[];
  summary?: string;
  description?: string;
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content?: Record<string, Media> };
  security?: Record<string, string[]>[];
}

export interface ApiDocument {
  paths: Record<string, Record<string, WireOperation>>;
  components?: { schemas?: Record<string, Schema> };
}

export interface ApiOperation {
  /** `GET /api/v1/health`; no two are the same. */
  id: string;
  method: string;
  path: string;
  tag: string;
  summary: string;
  description: string;
  parameters: Parameter[];
  /** What a body is written in, and one to begin with. */
  body: { media: string; example: string; required: boolean } | undefined;
  /** What a token must allow, any of them; empty: nothing. */
  scopes: string[];
}

const METHODS = ["get", "post", "put", "patch", "delete"];
const REFERENCE = "#/components/schemas/";
/** Schemas may name themselves: no example goes deeper. */
const DEEPEST = 6;

export function operationsOf(document: ApiDocument): ApiOperation[] {
  const found: ApiOperation[] = [];
  for (const [path, item] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const one = item[method];
      if (one) found.push(operationOf(document, method.toUpperCase(), path, one));
    }
  }
  return found;
}

function operationOf(document: ApiDocument, method: string, path: string, one: WireOperation): ApiOperation {
  const [media, content] = Object.entries(one.requestBody?.content ?? {})[0] ?? [];
  const example = content?.example ?? (content?.schema ? exampleOf(document, content.schema) : undefined);
  return {
    id: `${method} ${path}`,
    method,
    path,
    tag: one.tags?.[0] ?? "",
    summary: one.summary ?? "",
    description: one.description ?? "",
    parameters: one.parameters ?? [],
    body: media === undefined ? undefined : { media, example: bodyText(example), required: one.requestBody?.required === true },
    scopes: [...new Set((one.security ?? []).flatMap((way) => Object.values(way).flat()))],
  };
}

const bodyText = (example: unknown) => (typeof example === "string" ? example : example === undefined ? "" : JSON.stringify(example, null, 2));

/** A value of the schema with what it requires, to begin writing from. */
export function exampleOf(document: ApiDocument, schema: Schema, depth = 0): unknown {
  if (schema.example !== undefined) return schema.example;
  if (schema.default !== undefined) return schema.default;
  if (depth > DEEPEST) return null;
  const deeper = (one: Schema) => exampleOf(document, one, depth + 1);
  if (schema.$ref) return deeper(document.components?.schemas?.[schema.$ref.slice(REFERENCE.length)] ?? {});
  if (schema.enum) return schema.enum[0];
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map(deeper)) as unknown;
  const choice = schema.oneOf?.[0] ?? schema.anyOf?.[0];
  if (choice) return deeper(choice);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "array") return schema.items ? [deeper(schema.items)] : [];
  if (type === "object" || schema.properties) {
    const wanted = Object.entries(schema.properties ?? {}).filter(([name]) => schema.required?.includes(name));
    return Object.fromEntries(wanted.map(([name, one]) => [name, deeper(one)]));
  }
  return type === "boolean" ? false : type === "integer" || type === "number" ? 0 : "";
}

/** A parameter with several values takes them one a line. */
export const isList = (parameter: Parameter): boolean => parameter.schema?.type === "array";

export interface Filled {
  address: string;
  headers: Record<string, string>;
  body: string | undefined;
}

/** A request from what was typed; what is empty and may be is left out. */
export function filled(one: ApiOperation, typed: Readonly<Record<string, string>>, body: string): Filled {
  let path = one.path;
  const query = new URLSearchParams();
  const headers: Record<string, string> = {};
  for (const parameter of one.parameters) {
    const text = typed[parameter.name] ?? "";
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(text) || `{${parameter.name}}`);
    else if (text === "") continue;
    else if (parameter.in === "header") headers[parameter.name] = text;
    else for (const value of isList(parameter) ? text.split("\n") : [text]) if (value !== "") query.append(parameter.name, value);
  }
  const sends = one.body !== undefined && body.trim() !== "";
  if (sends && one.body) headers["content-type"] = one.body.media;
  return { address: query.size === 0 ? path : `${path}?${query}`, headers, body: sends ? body : undefined };
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** The same for a shell; the token stays in a variable, so that none is ever copied. */
export function curlOf(origin: string, one: ApiOperation, request: Filled): string {
  const parts = [`curl -sS ${one.method === "GET" ? "" : `-X ${one.method} `}${quoted(origin + request.address)}`];
  if (one.scopes.length > 0) parts.push(`-H "Authorization: Bearer $HOLDFAST_TOKEN"`);
  for (const [name, value] of Object.entries(request.headers)) parts.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (request.body !== undefined) parts.push(`--data-raw ${quoted(request.body)}`);
  return parts.join(" \\\n  ");
}
