import { type ApiDocument, exampleOf, type Operation } from "./document";

export type Call = { method: string; path: string; operation: Operation };
type At = { apiUrl: string; needsKey: boolean; ids: Record<string, string | undefined> };

const METHODS = ["get", "post", "patch", "put", "delete"];
/** What makes the thing that an address names. */
const MAKERS: Record<string, string> = {
  payment_id: "create_payment",
  key_id: "create_api_key",
};
const PLACE = /\{(\w+)\}/g;

export function callsOf(document: ApiDocument): Call[] {
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    METHODS.flatMap((method) => {
      const operation = operations[method];
      return operation ? [{ method, path, operation }] : [];
    }),
  );
}

/**
 * A command that works as pasted: with the API's address, an id that exists, and a key of the
 * reader's own in $PAYFLOW_KEY where one is needed. Where no id is known it makes what it needs
 * first, so that nobody's own key is rolled or revoked to try it.
 */
export function curlOf(call: Call, document: ApiDocument, at: At): string {
  const [, missing = ""] =
    [...call.path.matchAll(PLACE)].find(([, name = ""]) => !at.ids[name]) ?? [];
  const maker = callsOf(document).find(
    ({ operation }) => operation.operationId === MAKERS[missing],
  );
  const command = commandOf(call, document, at);
  if (!maker) return command;
  const made = commandOf(maker, document, at);
  return `ID=$(${made} |\n  sed 's/.*"id":"\\([^"]*\\)".*/\\1/')\n${command}`;
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** A payment gets an idempotency key of its time: the command makes another one each time. */
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
    if (operation.operationId === "create_payment") {
      lines.push('-H "Idempotency-Key: try-$(date +%s)"');
    }
    lines.push(`-d ${quoted(JSON.stringify(exampleOf(schema, document)))}`);
  }
  return lines.join(" \\\n  ");
}
