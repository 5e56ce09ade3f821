import { type ApiDocument, exampleOf, type Operation } from "./document";

export type Call = { method: string; path: string; operation: Operation };

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/**
 * A command that works as pasted: with the API's address, an id that exists, and a key of the
 * reader's own in $PAYFLOW_KEY where one is needed. A payment gets an idempotency key of its time,
 * so that the command makes another one each time.
 */
export function curlOf(
  { method, path, operation }: Call,
  document: ApiDocument,
  at: { apiUrl: string; needsKey: boolean; ids: Record<string, string | undefined> },
): string {
  const address = path.replace(/\{(\w+)\}/g, (whole, name: string) => at.ids[name] ?? whole);
  const lines = [
    `curl -sS ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${quoted(at.apiUrl + address)}`,
  ];
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
