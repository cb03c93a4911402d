import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { checkout } from "../../tools/paths.mjs";
import type { Answer, Job } from "./provider";

/** Real processes of the provider. One is always started ahead, since loading the code takes most of a second. */

const MAIN = join(checkout, "test/faults/provider.ts");

export interface ProviderProcess {
    /** Its answer; rejects where it ended without one. */
    readonly answer: Promise<Answer>;
    /** `kill -9`. */
    kill(): Promise<void>;
}

interface Started {
    readonly child: ChildProcess;
    readonly ready: Promise<unknown>;
}

let ahead: Started | undefined;

function start(): Started {
    const child = spawn(process.execPath, ["--import", "tsx", MAIN], {
        cwd: checkout,
        stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const ready = once(child, "message");
    ready.catch(() => undefined);
    return { child, ready };
}

export async function provider(job: Job): Promise<ProviderProcess> {
    const { child, ready } = ahead ?? start();
    ahead = start();
    await ready;
    const ended = once(child, "exit");
    const answer = new Promise<Answer>((resolve, reject) => {
        child.once("message", (message) => resolve(message as Answer));
        child.once("exit", (status, signal) =>
            reject(new Error(`the provider's process ended: ${String(signal ?? status)}`)),
        );
    });
    answer.catch(() => undefined);
    child.send(job);
    return {
        answer,
        kill: async () => {
            child.kill("SIGKILL");
            await ended;
        },
    };
}

/** Ends the process that was started ahead. */
export function noMoreProviders(): void {
    ahead?.child.kill("SIGKILL");
    ahead = undefined;
}
