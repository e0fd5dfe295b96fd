/** A dispatcher of its own process, which a test kills: `node outbox-dispatcher.ts <database url> <now ms>`. */
import { ManualClock } from "../../../src/kernel/clock.ts";
import { Dispatcher } from "../../../src/notifications/dispatcher.ts";
import { openPostgres } from "../../../src/stores/database.ts";
import { LOOPBACK } from "../../support/loopback.ts";

const [, , databaseUrl = "", now = "0"] = process.argv;
const postgres = openPostgres(databaseUrl, { poolSize: 2 });
const dispatcher = new Dispatcher(postgres.db, new ManualClock(Number(now)), { egress: LOOPBACK });
await dispatcher.deliverDue();
await dispatcher.stop();
await postgres.close();
