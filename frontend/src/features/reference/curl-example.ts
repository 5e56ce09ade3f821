import { type ApiDocument, exampleBody, type Operation, resolveRef } from "./openapi";

export type Route = { method: string; path: string; operation: Operation };
type Context = { apiUrl: string; needsKey: boolean; ids: Record<string, string | undefined> };
/** `of` is the operation that the whole example shows. */
type Example = Context & { of: string };

const METHODS = ["get", "post", "patch", "put", "delete"];
/** The operation that creates the resource of each path parameter. */
const CREATED_BY: Record<string, string> = {
  payment_id: "create_payment",
  export_id: "create_export",
  key_id: "create_api_key",
  endpoint_id: "create_webhook_endpoint",
  delivery_id: "test_webhook_endpoint",
};
/** Operations that need a payment with an outcome, and then a refund with one. */
const NEEDS_OUTCOME = ["create_refund", "simulate_return", "simulate_refund_return"];
const NEEDS_REFUND = "simulate_refund_return";
/** What only a completed payment allows: its type can be returned, and it is sure to complete. */
const COMPLETES = {
  type: "eft",
  metadata: { simulate: "completed", simulate_refund: "completed" },
};
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
  const of = route.operation.operationId;
  return exampleSteps(route, document, { ...context, ids, of }).join("\n");
}

function exampleSteps(
  route: Route,
  document: ApiDocument,
  context: Example,
  fields: object = {},
): string[] {
  const command = curlCommand(route, document, context, fields);
  const { operationId } = route.operation;
  const [, missingId = ""] =
    [...route.path.matchAll(PATH_PARAMETER)].find(([, name = ""]) => !context.ids[name]) ?? [];
  const routes = new Map(listRoutes(document).map((one) => [one.operation.operationId, one]));
  const creator = routes.get(CREATED_BY[missingId] ?? "");
  if (!creator) return [command];
  const send = (id: string) => {
    const needed = routes.get(id);
    return needed ? curlCommand(needed, document, context) : "";
  };
  const steps = exampleSteps(
    creator,
    document,
    context,
    operationId.startsWith("simulate_") ? COMPLETES : {},
  );
  steps.push(intoVariable("ID", steps.pop() ?? ""));
  if (NEEDS_OUTCOME.includes(operationId)) steps.push(waitFor(send("get_payment")));
  if (operationId === NEEDS_REFUND) {
    steps.push(intoVariable("REFUND", send("create_refund")), waitFor(send("list_refunds")));
  }
  return [...steps, command];
}

const intoVariable = (name: string, command: string) =>
  `${name}=$(${command} |\n  sed 's/.*"id":"\\([^"]*\\)".*/\\1/')`;
const waitFor = (read: string) =>
  `while ${read} |\n  grep -q '"status":"processing"'; do sleep 1; done`;

const shellQuote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function curlCommand(
  { method, path, operation }: Route,
  document: ApiDocument,
  { apiUrl, needsKey, ids, of }: Example,
  fields: object = {},
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
    // A key from the clock: each paste creates another resource, and so does each example. Where it
    // may be null, it is left out.
    const key = resolveRef(schema, document).properties?.idempotency_key;
    if (key && !key.anyOf) {
      lines.push(`-H "Idempotency-Key: ${of}-$(date +%s)"`);
    }
    const body = JSON.stringify({ ...exampleBody(schema, document), ...fields });
    const refund = `"refund_id":"'"$REFUND"'"`;
    lines.push(`-d ${shellQuote(body)}`.replace(/"refund_id":"[^"]*"/, refund));
  }
  return lines.join(" \\\n  ");
}
