import { setImmediate } from "node:timers/promises";
import { afterEach } from "vitest";

/**
 * A worker whose runner has been ended ends as well, and with it all that its tests have started; else it goes on for ever.
 * By a signal, as Vitest turns `process.exit` into an error.
 */
process.once("disconnect", () => {
    process.kill(process.pid, "SIGKILL");
});

/**
 * Tests that wait for processes without letting the worker do anything else (`spawnSync`) are reported one by one: an answer
 * to a report that the worker does not come to read for a minute, on a busy machine, Vitest takes for an error of the run.
 */
afterEach(async () => {
    await setImmediate();
});
