/** A worker whose runner has been ended ends as well, and with it all that its tests have started; else it goes on for ever. */
process.once("disconnect", () => {
    process.exit(1);
});
