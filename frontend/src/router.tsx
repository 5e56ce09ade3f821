import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import {
  createRootRoute,
  createRoute,
  createRouter,
  Link,
  lazyRouteComponent,
} from "@tanstack/react-router";
import { ApiError } from "./api/api-error";
import { retryDelayMs, shouldRetry } from "./api/retry";
import { ErrorAlert } from "./components/error-alert";
import { PageTitle } from "./components/page-title";

import { parseLogsSearch } from "./features/logs/logs-search";
import { parseOverviewSearch } from "./features/overview/overview-search";
import { parsePaymentsSearch } from "./features/payments/payments-search";
import { parseRefundsSearch } from "./features/payments/refunds-search";
import { parsePageSearch } from "./lib/page-search";
import { ACCESS_KEY } from "./session/access";
import { AuthGate } from "./session/auth-gate";
import { onApiKeyChange } from "./session/key";

/** After a 401 the key is no longer valid: make AuthGate check it, and ask for another one. */
function checkAccess(error: Error) {
  if (error instanceof ApiError && error.status === 401) {
    void queryClient.invalidateQueries({ queryKey: [ACCESS_KEY] });
  }
}

export const queryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error, query) => query.queryKey[0] !== ACCESS_KEY && checkAccess(error),
  }),
  mutationCache: new MutationCache({ onError: checkAccess }),
  defaultOptions: {
    queries: { retry: shouldRetry, retryDelay: retryDelayMs },
  },
});

// The next key must not see what this one has loaded.
onApiKeyChange(() => queryClient.clear());

const root = createRootRoute({
  component: AuthGate,
  notFoundComponent: () => (
    <>
      <PageTitle title="Page not found" />
      <Link to="/payments" className="text-accent underline">
        Go to payments
      </Link>
    </>
  ),
});

const overview = createRoute({
  getParentRoute: () => root,
  path: "/",
  validateSearch: parseOverviewSearch,
  component: lazyRouteComponent(() => import("./features/overview/overview-page"), "OverviewPage"),
});

const payments = createRoute({
  getParentRoute: () => root,
  path: "/payments",
  validateSearch: parsePaymentsSearch,
  component: lazyRouteComponent(() => import("./features/payments/payments-page"), "PaymentsPage"),
});

const newPayment = createRoute({
  getParentRoute: () => root,
  path: "/payments/new",
  component: lazyRouteComponent(
    () => import("./features/payments/new-payment-page"),
    "NewPaymentPage",
  ),
});

const payment = createRoute({
  getParentRoute: () => root,
  path: "/payments/$id",
  component: lazyRouteComponent(() => import("./features/payments/payment-page"), "PaymentPage"),
});

const refunds = createRoute({
  getParentRoute: () => root,
  path: "/refunds",
  validateSearch: parseRefundsSearch,
  component: lazyRouteComponent(() => import("./features/payments/refunds-page"), "RefundsPage"),
});

const exports = createRoute({
  getParentRoute: () => root,
  path: "/exports",
  validateSearch: parsePageSearch,
  component: lazyRouteComponent(() => import("./features/exports/exports-page"), "ExportsPage"),
});

const logs = createRoute({
  getParentRoute: () => root,
  path: "/logs",
  validateSearch: parseLogsSearch,
  component: lazyRouteComponent(() => import("./features/logs/logs-page"), "LogsPage"),
});

const audit = createRoute({
  getParentRoute: () => root,
  path: "/audit",
  validateSearch: parsePageSearch,
  component: lazyRouteComponent(() => import("./features/logs/audit-page"), "AuditPage"),
});

const webhooks = createRoute({
  getParentRoute: () => root,
  path: "/webhooks",
  component: lazyRouteComponent(
    () => import("./features/webhooks/endpoints-page"),
    "EndpointsPage",
  ),
});

const endpoint = createRoute({
  getParentRoute: () => root,
  path: "/webhooks/$id",
  component: lazyRouteComponent(() => import("./features/webhooks/endpoint-page"), "EndpointPage"),
});

const keys = createRoute({
  getParentRoute: () => root,
  path: "/keys",
  component: lazyRouteComponent(() => import("./features/keys/keys-page"), "KeysPage"),
});

const reference = createRoute({
  getParentRoute: () => root,
  path: "/reference",
  component: lazyRouteComponent(
    () => import("./features/reference/reference-page"),
    "ReferencePage",
  ),
});

export const router = createRouter({
  routeTree: root.addChildren([
    overview,
    payments,
    newPayment,
    payment,
    refunds,
    exports,
    logs,
    audit,
    webhooks,
    endpoint,
    keys,
    reference,
  ]),
  defaultPreload: "intent",
  scrollRestoration: true,
  search: { strict: true }, // a page sees only the parameters that it has validated
  defaultErrorComponent: ({ error, reset }) => <ErrorAlert error={error as Error} retry={reset} />,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
  interface HistoryState {
    /** The cursors of the newer pages, the newest first: the API has no link back. */
    newerCursors?: readonly (string | undefined)[];
  }
}
