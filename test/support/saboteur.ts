import { existsSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { BlockhostError } from "../../provider/errors";
import { createTransport } from "../../provider/transport";
import type { RunOptions, RunResult, Transport, TransportConfig } from "../../provider/transport/types";

/**
 * A transport that halts one run on the host at one point, before the first step or after step k of all the steps that
 * an operation takes, until something is done to it. After that nothing gets through any more: the process is as dead.
 */
export class Saboteur {
    /** Points met so far; each run with n steps has n + 1. */
    points = 0;
    private halted = false;

    /**
     * @param point where to halt
     * @param marker file that exists on the host while it waits there
     * @param how `halt`: waits until the marker is gone; else text that is put there
     */
    constructor(
        private readonly point: number,
        readonly marker: string,
        private readonly how: { readonly halt: true } | { readonly text: string; readonly live: boolean } = {
            halt: true,
        },
    ) {}

    readonly transport = (config: TransportConfig): Transport => {
        const inner = createTransport(config);
        return {
            name: inner.name,
            counters: inner.counters,
            close: () => inner.close(),
            run: (script, options) => this.run(inner, script, options),
        };
    };

    private async run(inner: Transport, script: string, options?: RunOptions): Promise<RunResult> {
        if (this.halted && ("halt" in this.how || !this.how.live)) {
            throw new BlockhostError("unreachable", "this process is as dead");
        }
        return inner.run(this.halted ? script : this.sabotaged(script), options);
    }

    /** The same script, with the point in it if it is there. */
    private sabotaged(script: string): string {
        const ends = [...script.matchAll(/^bh_mark end step:0\.\d+ \$bh_s\n/gm)];
        const begin = /^bh_mark begin step:0\.0\n/m.exec(script);
        if (begin === null) return script;
        const places = [begin.index, ...ends.map((end) => end.index + end[0].length)];
        const place = places[this.point - this.points];
        this.points += places.length;
        if (place === undefined) return script;
        this.halted = true;
        const halt = `: > '${this.marker}'\nwhile [ -e '${this.marker}' ]; do sleep 0.02; done\n`;
        const text = "text" in this.how ? this.how.text : halt;
        return script.slice(0, place) + text + script.slice(place);
    }

    /** Whether the point was met before the work ended. */
    async met(work: Promise<unknown>): Promise<boolean> {
        let ended = false;
        const end = () => (ended = true);
        work.then(end, end);
        while (!existsSync(this.marker)) {
            if (ended) return existsSync(this.marker);
            await sleep(5);
        }
        return true;
    }

    release(): void {
        rmSync(this.marker, { force: true });
    }
}
