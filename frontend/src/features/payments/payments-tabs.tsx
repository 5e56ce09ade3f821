import { PageTabs } from "../../components/page-tabs";

export const PaymentsTabs = () => (
  <PageTabs
    label="Lists"
    tabs={[
      ["/payments", "Payments"],
      ["/refunds", "Refunds"],
    ]}
  />
);
