// Starts GraphiQL. Tokens, queries and numbers live in this page only: nothing is written to the browser's storage.
"use strict";

const QUERY = `# 1. Make a token:  cdp token --client console --purpose service.care --store cn --store hk
# 2. Paste it into "Headers" below, after "Bearer ".
# 3. Press the round arrow at the left to fetch the schema, put a number into "Variables", press play.
query Profile($number: String!) @purpose(id: "service.care") {
  customer(number: $number) {
    id
    formattedName
    birthDate
    gender
    status
    tier
    regions
    holdings(first: 4) { number region role state validFor { start end } }
    consents(first: 4) { purpose channel type happenedAt expiresAt }
    accounts(first: 4) { accountNo region ratingType balance { value unit } }
    usageMonths(first: 6) { month voiceMinutes smsCount dataMegabytes }
    bills(first: 3) { billNo billDate amountDue { value unit } state }
    interactions(first: 3) { at channel direction reason }
  }
}
`;

class PageStorage {
  #items = new Map();
  get length() { return this.#items.size; }
  getItem(key) { return this.#items.get(key) ?? null; }
  setItem(key, value) { this.#items.set(key, String(value)); }
  removeItem(key) { this.#items.delete(key); }
  clear() { this.#items.clear(); }
}

async function fetcher(operation, options) {
  const response = await fetch("graphql", {
    method: "POST",
    headers: {
      ...options?.headers,
      "Content-Type": "application/json",
      Accept: "application/graphql-response+json",
    },
    body: JSON.stringify(operation),
    credentials: "omit",
  });
  return response.json();
}

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher,
    storage: new PageStorage(),
    defaultQuery: QUERY,
    variables: JSON.stringify({ number: "+00000000000" }, null, 2),
    defaultHeaders: JSON.stringify({ Authorization: "Bearer " }, null, 2),
    defaultEditorToolsVisibility: "headers",
    isHeadersEditorEnabled: true,
    shouldPersistHeaders: false,
  }),
);
