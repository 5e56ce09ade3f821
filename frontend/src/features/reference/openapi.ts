import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "../../api/client";

/** As much of an OpenAPI 3.1 document as the API's own makes use of. */
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
export type Parameter = {
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

/** The schema that a `$ref` names; any other as it is. */
export function resolveRef(schema: Schema, { components }: ApiDocument): Schema {
  const name = schema.$ref?.split("/").at(-1);
  const found = name === undefined ? undefined : components.schemas[name];
  return found ? { ...found, ...schema } : schema;
}

/** In a few words what a value may be. */
export function describeType(schema: Schema, document: ApiDocument): string {
  const all = resolveRef(schema, document);
  if (all.anyOf) {
    return [...new Set(all.anyOf.map((one) => describeType(one, document)))].join(" or ");
  }
  if (all.enum) return all.enum.map(String).join(" | ");
  if (all.const !== undefined) return String(all.const);
  if (all.type === "array")
    return `list of ${all.items ? describeType(all.items, document) : "values"}`;
  const limits = [
    [all.minLength, all.maxLength],
    [all.minimum, all.maximum],
  ].find(([least, most]) => least !== undefined || most !== undefined);
  const range = limits && ` (${limits[0] ?? ""}…${limits[1] ?? ""})`;
  return `${all.format ?? all.type ?? "any"}${range ?? ""}`;
}

/** An example of a body, from those of its fields; only what is required, and has one. */
export function exampleBody(schema: Schema, document: ApiDocument): Record<string, unknown> {
  const { properties = {}, required = [] } = resolveRef(schema, document);
  const example: Record<string, unknown> = {};
  for (const name of required) {
    const field = resolveRef(properties[name] ?? {}, document);
    const items = field.items && resolveRef(field.items, document);
    const value = field.examples?.[0] ?? field.enum?.[0] ?? (items?.enum && [items.enum[0]]);
    if (value !== undefined) example[name] = value;
    else if (field.type === "string") example[name] = "example";
  }
  return example;
}
