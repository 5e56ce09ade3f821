import { PageTabs } from "../../components/page-tabs";

export const LogsTabs = () => (
  <PageTabs
    label="Logs"
    tabs={[
      ["/logs", "Requests"],
      ["/audit", "Audit"],
    ]}
  />
);
