import { type ApiDocument, exampleBody, type Operation, resolveRef } from "./openapi";

export type Route = { method: string; path: string; operation: Operation };
type Context = { apiUrl: string; needsKey: boolean; ids: Record<string, string | undefined> };

const METHODS = ["get", "post", "patch", "put", "delete"];
/** The operation that creates the resource of each path parameter. */
const CREATED_BY: Record<string, string> = {
  payment_id: "create_payment",
  key_id: "create_api_key",
  endpoint_id: "create_webhook_endpoint",
  delivery_id: "test_webhook_endpoint",
};
/** Operations that need a settled payment. */
const NEEDS_SETTLED = ["create_refund", "simulate_return"];
const PATH_PARAMETER = /\{(\w+)\}/g;

export function listRoutes(document: ApiDocument): Route[] {
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    METHODS.flatMap((method) => {
      const operation = operations[method];
      return operation ? [{ method, path, operation }] : [];
    }),
  );
}

/**
 * A command that works as pasted: with the API's address, an id that exists, and the reader's own
 * key in $PAYFLOW_KEY if the operation needs one.
 *
 * A command that changes something first creates what it changes, and so does a command without a
 * known id: trying an example never refunds a real payment or revokes a real key.
 */
export function curlExample(route: Route, document: ApiDocument, context: Context): string {
  const ids = route.method === "get" ? context.ids : {};
  return exampleSteps(route, document, { ...context, ids }).join("\n");
}

function exampleSteps(route: Route, document: ApiDocument, context: Context): string[] {
  const command = curlCommand(route, document, context);
  const [, missingId = ""] =
    [...route.path.matchAll(PATH_PARAMETER)].find(([, name = ""]) => !context.ids[name]) ?? [];
  const creator = listRoutes(document).find(
    ({ operation }) => operation.operationId === CREATED_BY[missingId],
  );
  if (!creator) return [command];
  const steps = exampleSteps(creator, document, context);
  const create = `ID=$(${steps.pop()} |\n  sed 's/.*"id":"\\([^"]*\\)".*/\\1/')`;
  const wait = NEEDS_SETTLED.includes(route.operation.operationId) ? ["sleep 2"] : [];
  return [...steps, create, ...wait, command];
}

const shellQuote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function curlCommand(
  { method, path, operation }: Route,
  document: ApiDocument,
  { apiUrl, needsKey, ids }: Context,
): string {
  const url = shellQuote(apiUrl + path).replace(
    PATH_PARAMETER,
    (_, name: string) => ids[name] ?? `'"$ID"'`,
  );
  const lines = [`curl -sS ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${url}`];
  const isPublic = operation.security?.length === 0;
  if (needsKey && !isPublic) lines.push('-H "Authorization: Bearer $PAYFLOW_KEY"');
  const schema = operation.requestBody?.content["application/json"]?.schema;
  if (schema) {
    lines.push("-H 'Content-Type: application/json'");
    // A key from the clock: each paste creates another resource. Where it may be null, it is left out.
    const key = resolveRef(schema, document).properties?.idempotency_key;
    if (key && !key.anyOf) {
      lines.push('-H "Idempotency-Key: try-$(date +%s)"');
    }
    lines.push(`-d ${shellQuote(JSON.stringify(exampleBody(schema, document)))}`);
  }
  return lines.join(" \\\n  ");
}
