// Runs graphql-http's server audits against one URL: node audits.mjs FOLDER-WITH-graphql-http URL TOKEN
// Prints a JSON list of {id, name, status, reason}, one entry an audit.
import { createRequire } from "node:module";
import path from "node:path";

const [folder, url, token] = process.argv.slice(2);
const require = createRequire(path.join(folder, "package.json"));
const { auditServer } = require("graphql-http");

const fetchFn = (target, options = {}) =>
  fetch(target, { ...options, headers: { ...options.headers, authorization: `Bearer ${token}` } });
const results = await auditServer({ url, fetchFn });
console.log(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))));
