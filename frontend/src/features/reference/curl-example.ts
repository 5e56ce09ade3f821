import { type ApiDocument, exampleBody, type Operation, resolveRef } from "./openapi";

export type Call = { method: string; path: string; operation: Operation };
type At = { apiUrl: string; needsKey: boolean; ids: Record<string, string | undefined> };

const METHODS = ["get", "post", "patch", "put", "delete"];
/** What makes the thing that an address names. */
const MAKERS: Record<string, string> = {
  payment_id: "create_payment",
  key_id: "create_api_key",
  endpoint_id: "create_webhook_endpoint",
  delivery_id: "test_webhook_endpoint",
};
/** What only a settled payment allows. */
const AFTER_SETTLING = ["create_refund", "simulate_return"];
const PLACE = /\{(\w+)\}/g;

export function listOperations(document: ApiDocument): Call[] {
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    METHODS.flatMap((method) => {
      const operation = operations[method];
      return operation ? [{ method, path, operation }] : [];
    }),
  );
}

/**
 * A command that works as pasted: with the API's address, an id that exists, and a key of the
 * reader's own in $PAYFLOW_KEY where one is needed. What changes something makes what it changes
 * first, and so does what knows no id: nobody's own payment is refunded, nor key revoked, to try.
 */
export function curlExample(call: Call, document: ApiDocument, { ids, ...rest }: At): string {
  return stepsOf(call, document, { ...rest, ids: call.method === "get" ? ids : {} }).join("\n");
}

function stepsOf(call: Call, document: ApiDocument, at: At): string[] {
  const command = commandOf(call, document, at);
  const [, missing = ""] =
    [...call.path.matchAll(PLACE)].find(([, name = ""]) => !at.ids[name]) ?? [];
  const maker = listOperations(document).find(
    ({ operation }) => operation.operationId === MAKERS[missing],
  );
  if (!maker) return [command];
  const before = stepsOf(maker, document, at);
  const made = `ID=$(${before.pop()} |\n  sed 's/.*"id":"\\([^"]*\\)".*/\\1/')`;
  const wait = AFTER_SETTLING.includes(call.operation.operationId) ? ["sleep 2"] : [];
  return [...before, made, ...wait, command];
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** What takes an idempotency key gets one of its time: each paste makes another one. */
function commandOf({ method, path, operation }: Call, document: ApiDocument, at: At): string {
  const address = quoted(at.apiUrl + path).replace(
    PLACE,
    (_, name: string) => at.ids[name] ?? `'"$ID"'`,
  );
  const lines = [`curl -sS ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${address}`];
  if (at.needsKey && /scope/.test(operation.description ?? "")) {
    lines.push('-H "Authorization: Bearer $PAYFLOW_KEY"');
  }
  const schema = operation.requestBody?.content["application/json"]?.schema;
  if (schema) {
    lines.push("-H 'Content-Type: application/json'");
    if (resolveRef(schema, document).properties?.idempotency_key) {
      lines.push('-H "Idempotency-Key: try-$(date +%s)"');
    }
    lines.push(`-d ${quoted(JSON.stringify(exampleBody(schema, document)))}`);
  }
  return lines.join(" \\\n  ");
}
