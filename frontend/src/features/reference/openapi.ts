import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "../../api/client";

/** The parts of OpenAPI 3.1 that our API's document uses. */
export type Schema = {
  $ref?: string;
  type?: string;
  title?: string;
  description?: string;
  format?: string;
  enum?: readonly unknown[];
  const?: unknown;
  default?: unknown;
  examples?: readonly unknown[];
  anyOf?: readonly Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  required?: readonly string[];
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
};
type Content = { "application/json"?: { schema: Schema } };
type Parameter = {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema: Schema;
};
export type Operation = {
  operationId: string;
  summary: string;
  description?: string;
  /** Empty if the operation is public. */
  security?: readonly unknown[];
  parameters?: readonly Parameter[];
  requestBody?: { content: Content };
  responses: Record<string, { description: string; content?: Content }>;
};
export type ApiDocument = {
  info: { title: string; version: string; description?: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
};

export const documentQuery = queryOptions({
  queryKey: ["openapi"],
  queryFn: async ({ signal }) =>
    (await unwrap(api.GET("/v1/openapi.json", { signal }))) as unknown as ApiDocument,
  staleTime: Number.POSITIVE_INFINITY,
});

/** Return the schema that `$ref` points to, or the schema itself. */
export function resolveRef(schema: Schema, { components }: ApiDocument): Schema {
  const name = schema.$ref?.split("/").at(-1);
  const found = name === undefined ? undefined : components.schemas[name];
  return found ? { ...found, ...schema } : schema;
}

/** Describe the type of a value in a few words, such as `string (1…255)`. */
export function describeType(schema: Schema, document: ApiDocument): string {
  const resolved = resolveRef(schema, document);
  if (resolved.anyOf) {
    return [...new Set(resolved.anyOf.map((option) => describeType(option, document)))].join(
      " or ",
    );
  }
  if (resolved.enum) return resolved.enum.map(String).join(" | ");
  if (resolved.const !== undefined) return String(resolved.const);
  if (resolved.type === "array") {
    return `list of ${resolved.items ? describeType(resolved.items, document) : "values"}`;
  }
  const limits = [
    [resolved.minLength, resolved.maxLength],
    [resolved.minimum, resolved.maximum],
  ].find(([min, max]) => min !== undefined || max !== undefined);
  const range = limits && ` (${limits[0] ?? ""}…${limits[1] ?? ""})`;
  return `${resolved.format ?? resolved.type ?? "any"}${range ?? ""}`;
}

/** Build an example body from the examples of its required fields. */
export function exampleBody(schema: Schema, document: ApiDocument): Record<string, unknown> {
  const { properties = {}, required = [] } = resolveRef(schema, document);
  const body: Record<string, unknown> = {};
  for (const name of required) {
    const field = resolveRef(properties[name] ?? {}, document);
    const items = field.items && resolveRef(field.items, document);
    const value = field.examples?.[0] ?? field.enum?.[0] ?? (items?.enum && [items.enum[0]]);
    if (value !== undefined) body[name] = value;
    else if (field.type === "string") body[name] = "example";
  }
  return body;
}
