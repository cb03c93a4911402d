import { serve } from "./server";
import { Session } from "./session";

/**
 * The plugin's process, as the engine starts it: its address comes as the last argument, and the first line that we
 * print is our port.
 */
export async function main(args: readonly string[]): Promise<void> {
    const session = new Session(args.find((argument) => !argument.startsWith("-")));
    // The engine ends us by a signal; an engine that was killed cannot even do that.
    const end = () => void session.close().finally(() => process.exit(0));
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);
    const parent = process.ppid;
    setInterval(() => {
        if (process.ppid !== parent) end();
    }, 1000).unref();
    const port = await serve(session);
    process.stdout.write(`${String(port)}\n`);
}
