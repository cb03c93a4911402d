/** Looks at processes of this machine, which is the host in these tests. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** False for a process that is gone or only waits to be collected. */
export function lives(pid: number): boolean {
    try {
        const stat = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
        return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
    } catch {
        return false;
    }
}

/** Waits until something holds; throws when it does not within the time (milliseconds). */
export async function eventually(holds: () => boolean, timeout = 5_000): Promise<void> {
    for (const until = Date.now() + timeout; !holds(); await sleep(10)) {
        if (Date.now() > until)
            throw new Error(`did not come to hold within ${String(timeout)} ms: ${holds.toString()}`);
    }
}

/** The numbers in a text, such as pids that a script wrote. */
export function pidsIn(text: string): number[] {
    return (text.match(/\d+/g) ?? []).map(Number);
}
