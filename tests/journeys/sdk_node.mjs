// What an app says with an SDK for Node.js: node sdk_node.mjs FOLDER-WITH-THE-SDKS URL KEY segment|rudder
import { createRequire } from "node:module";
import path from "node:path";

const [folder, url, key, which] = process.argv.slice(2);
const require = createRequire(path.join(folder, "package.json"));
const failures = [];

const said = [
  ["identify", { traits: { name: "Mei Chen", email: "mei@example.cn" } }],
  ["track", { event: "Order Completed", properties: { total: 12.5 } }],
  ["page", { name: "Home" }],
  ["screen", { name: "Plans" }],
  ["track", { event: "ConsentGiven", properties: { purpose: "marketing.sms", channel: "sms" } }, "consent"],
  ["group", { groupId: "G-1" }],
  ["alias", { previousId: "U-0" }],
].map(([call, fields, name]) => [call, { userId: "U-1", messageId: `one-${name ?? call}`, ...fields }]);

if (which === "segment") {
  const { Analytics } = require("@segment/analytics-node");
  const analytics = new Analytics({ writeKey: key, host: url, flushAt: said.length, flushInterval: 200 });
  analytics.on("error", (error) => failures.push(String(error.reason ?? error.code)));
  for (const [call, message] of said) analytics[call](message);
  await analytics.closeAndFlush({ timeout: 30000 });
} else {
  const Analytics = require("@rudderstack/rudder-sdk-node");
  const analytics = new Analytics(key, { dataPlaneUrl: url, flushAt: said.length, flushInterval: 200, logLevel: "none" });
  const sent = said.map(
    ([call, message]) =>
      new Promise((done) => analytics[call](message, (error) => done(error && failures.push(String(error))))),
  );
  await analytics.flush();
  await Promise.all(sent);
}
if (failures.length) {
  console.error(failures.join("\n"));
  process.exit(1);
}
