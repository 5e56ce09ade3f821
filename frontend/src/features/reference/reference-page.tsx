import { useQuery } from "@tanstack/react-query";
import { API_URL } from "../../api/client";
import { ErrorAlert } from "../../components/error-alert";
import { PageTitle } from "../../components/page-title";
import { useAccess } from "../../session/access";
import { paymentsQuery } from "../payments/queries";
import { curlExample, listRoutes, type Route } from "./curl-example";
import { type ApiDocument, documentQuery } from "./openapi";
import { MethodLabel, OperationSection } from "./operation-section";

export function ReferencePage() {
  const { data, error, refetch } = useQuery(documentQuery);
  return (
    <>
      <PageTitle title="API reference" />
      {error && <ErrorAlert error={error} retry={() => refetch()} />}
      {data ? (
        <Reference document={data} />
      ) : (
        !error && <p role="status">Loading the API reference…</p>
      )}
    </>
  );
}

function Reference({ document }: { document: ApiDocument }) {
  const access = useAccess().data;
  const newestId = useQuery({ ...paymentsQuery({}), refetchInterval: false }).data?.payments[0]?.id;
  const needsKey = access !== "open";
  const context = { apiUrl: API_URL, needsKey, ids: { payment_id: newestId } };
  const routes = listRoutes(document);
  return (
    <>
      <div className="mb-6 max-w-3xl space-y-2 text-sm">
        <p>
          Version {document.info.version} at <code className="font-mono break-all">{API_URL}</code>.
          The OpenAPI document is at{" "}
          <a className="text-accent underline" href={`${API_URL}/v1/openapi.json`}>
            /v1/openapi.json
          </a>
          .
        </p>
        {needsKey && (
          <p>
            The examples read your API key from a shell variable. Run{" "}
            <code className="font-mono">read -rs PAYFLOW_KEY</code> and paste your key: this keeps
            it out of your shell history.
          </p>
        )}
      </div>
      <TableOfContents routes={routes} />
      <div className="space-y-8">
        {routes.map((route) => (
          <OperationSection
            key={route.operation.operationId}
            route={route}
            document={document}
            curl={curlExample(route, document, context)}
          />
        ))}
      </div>
    </>
  );
}

function TableOfContents({ routes }: { routes: readonly Route[] }) {
  return (
    <nav aria-label="Operations" className="mb-8">
      <ul className="grid gap-x-6 gap-y-1 text-sm sm:grid-cols-2">
        {routes.map(({ operation, method, path }) => (
          <li key={operation.operationId}>
            <a href={`#${operation.operationId}`} className="hover:underline">
              <MethodLabel method={method} /> <code className="font-mono text-xs">{path}</code>
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}
