import { useQuery } from "@tanstack/react-query";
import { API_URL } from "../../api/client";
import { CopyButton } from "../../components/copy-button";
import { ErrorAlert } from "../../components/error-alert";
import { PageTitle } from "../../components/page-title";
import { useAccess } from "../../session/access";
import { paymentsQuery } from "../payments/queries";
import { type Call, curlExample, listOperations } from "./curl-example";
import { type ApiDocument, describeType, documentQuery, resolveRef, type Schema } from "./openapi";

export function ReferencePage() {
  const { data, error, refetch } = useQuery(documentQuery);
  return (
    <>
      <PageTitle title="API reference" />
      {error && <ErrorAlert error={error} retry={() => refetch()} />}
      {data ? <Reference document={data} /> : !error && <p role="status">Loading the document…</p>}
    </>
  );
}

function Reference({ document }: { document: ApiDocument }) {
  const access = useAccess().data;
  const newest = useQuery({ ...paymentsQuery({}), refetchInterval: false }).data?.payments[0]?.id;
  const at = { apiUrl: API_URL, needsKey: access !== "open", ids: { payment_id: newest } };
  const calls = listOperations(document);
  return (
    <>
      <div className="mb-6 max-w-3xl space-y-2 text-sm">
        <p>
          Version {document.info.version}, at <code className="font-mono break-all">{API_URL}</code>
          . The machine-readable document is at{" "}
          <a className="text-accent underline" href={`${API_URL}/v1/openapi.json`}>
            /v1/openapi.json
          </a>
          .
        </p>
        {at.needsKey && (
          <p>
            The examples take your key from the shell:{" "}
            <code className="font-mono">read -rs PAYFLOW_KEY</code> asks for it, and keeps it out of
            the shell's history.
          </p>
        )}
      </div>
      <nav aria-label="Operations" className="mb-8">
        <ul className="grid gap-x-6 gap-y-1 text-sm sm:grid-cols-2">
          {calls.map(({ operation, method, path }) => (
            <li key={operation.operationId}>
              <a href={`#${operation.operationId}`} className="hover:underline">
                <Method name={method} /> <code className="font-mono text-xs">{path}</code>
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div className="space-y-8">
        {calls.map((call) => (
          <Described
            key={call.operation.operationId}
            call={call}
            document={document}
            curl={curlExample(call, document, at)}
          />
        ))}
      </div>
    </>
  );
}

function Method({ name }: { name: string }) {
  return (
    <span className="inline-block w-14 font-mono text-xs font-semibold text-accent uppercase">
      {name}
    </span>
  );
}

function Described({
  call: { method, path, operation },
  document,
  curl,
}: {
  call: Call;
  document: ApiDocument;
  curl: string;
}) {
  const body = operation.requestBody?.content["application/json"]?.schema;
  const fields = body ? resolveRef(body, document) : undefined;
  return (
    <section
      id={operation.operationId}
      aria-labelledby={`${operation.operationId}-name`}
      className="scroll-mt-4 overflow-hidden rounded-xl border border-border bg-surface"
    >
      <header className="border-b border-border p-4">
        <h2 id={`${operation.operationId}-name`} className="font-semibold">
          {operation.summary}
        </h2>
        <p className="mt-1">
          <Method name={method} /> <code className="font-mono text-sm break-all">{path}</code>
        </p>
        {operation.description && (
          <p className="mt-1 text-sm text-muted">{operation.description.replaceAll("`", "")}</p>
        )}
      </header>
      <div className="space-y-5 p-4">
        {operation.parameters && operation.parameters.length > 0 && (
          <Values
            title="Parameters"
            document={document}
            values={operation.parameters.map((one) => ({ ...one, required: !!one.required }))}
          />
        )}
        {fields?.properties && (
          <Values
            title="Body"
            document={document}
            values={Object.entries(fields.properties).map(([name, schema]) => ({
              name,
              schema,
              required: fields.required?.includes(name) ?? false,
            }))}
          />
        )}
        <div>
          <h3 className="mb-1 text-sm font-medium">Answers</h3>
          <dl className="text-sm">
            {Object.entries(operation.responses).map(([status, { description }]) => (
              <div key={status} className="flex gap-3 py-1">
                <dt className="w-10 shrink-0 font-mono">{status}</dt>
                <dd className="min-w-0 break-words text-muted">
                  {description.replaceAll("`", "")}
                </dd>
              </div>
            ))}
          </dl>
        </div>
        <div>
          <div className="flex items-center justify-between">
            <h3 className="text-sm font-medium">Try it</h3>
            <CopyButton text={curl} what={`the command for ${operation.summary.toLowerCase()}`} />
          </div>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by key */}
          <pre tabIndex={0} className="overflow-x-auto rounded-lg bg-raised p-3 font-mono text-xs">
            {curl}
          </pre>
        </div>
      </div>
    </section>
  );
}

type Value = { name: string; schema: Schema; required: boolean; description?: string };

function Values({
  title,
  values,
  document,
}: {
  title: string;
  values: readonly Value[];
  document: ApiDocument;
}) {
  return (
    <div>
      <h3 className="mb-1 text-sm font-medium">{title}</h3>
      <dl className="divide-y divide-border text-sm">
        {values.map(({ name, schema, required, description }) => (
          <div key={name} className="flex flex-wrap gap-x-4 py-1.5">
            <dt className="w-44 shrink-0">
              <code className="font-mono">{name}</code>
              {required && <span className="ml-1.5 text-xs text-muted">required</span>}
            </dt>
            <dd className="min-w-0 flex-1 basis-60 break-words">
              {describeType(schema, document)}
              {(description ?? schema.description) && (
                <span className="block text-xs text-muted">
                  {(description ?? schema.description)?.replaceAll("`", "")}
                </span>
              )}
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
