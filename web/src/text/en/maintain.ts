/** Words of the page about upkeep. */

export const maintain = {
  title: "Maintain",
  lead: "Upkeep of the agent's own data, and who changed what.",
  tabs: { audit: "Audit" },
  auditLead: "Every change, with who made it. Secrets are masked.",
  search: "Object or detail",
  who: "By",
  action: "Did",
  columns: { at: "When", who: "By", action: "Did", object: "To", detail: "What changed" },
  emptyTitle: "No such change",
  empty: "Nothing that was changed is like this.",
  more: (shown: number, total: number) => `Searched in the last ${shown} of ${total}.`,
} as const;
