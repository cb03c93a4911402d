/**
 * A worker whose runner has been ended ends as well, and with it all that its tests have started; else it goes on for ever.
 * By a signal, as Vitest turns `process.exit` into an error.
 */
process.once("disconnect", () => {
    process.kill(process.pid, "SIGKILL");
});
