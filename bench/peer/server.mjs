// PostGraphile as its documentation starts it, told what our tables do not say: how rows belong together.
// Settings come in the environment: PG* (libpq), BENCH_PORT, BENCH_WORKERS (processes). Listens on the loopback address
// only.
import cluster from "node:cluster";
import { createServer } from "node:http";
import { jsonPgSmartTags } from "postgraphile/utils";
import { makePgService } from "postgraphile/adaptors/pg";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { postgraphile } from "postgraphile";
import { grafserv } from "postgraphile/grafserv/node";

const toCustomer = { foreignKey: "(customer_id) references customer (customer_id)" };

// The smart tags stand for what a user of PostGraphile would write into the database as constraints.
const relations = jsonPgSmartTags({
  version: 1,
  config: {
    class: {
      number_index: { tags: { ...toCustomer, unique: "number_tag" } },
      customer_region: { tags: toCustomer },
      usage_month: { tags: toCustomer },
    },
  },
});

const preset = {
  extends: [PostGraphileAmberPreset],
  plugins: [relations],
  // Lists are ordered by columns that no index of ours leads with.
  disablePlugins: ["PgIndexBehaviorsPlugin"],
  pgServices: [makePgService({ connectionString: "postgresql://", schemas: ["public"], poolConfig: { max: 10 } })],
  grafserv: { graphiql: false, websockets: false, watch: false },
  grafast: { explain: false },
};

async function serve() {
  const pgl = postgraphile(preset);
  const serv = pgl.createServ(grafserv);
  const server = createServer();
  server.on("error", (error) => {
    console.error(error);
    process.exit(1);
  });
  await serv.addTo(server);
  await serv.ready?.();
  server.listen(Number(process.env.BENCH_PORT), "127.0.0.1");
}

const workers = Number(process.env.BENCH_WORKERS ?? 1);
process.on("SIGTERM", () => process.exit(0));
if (cluster.isPrimary && workers > 1) {
  for (let n = 0; n < workers; n += 1) cluster.fork();
} else {
  await serve();
}
