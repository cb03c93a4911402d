/**
 * A process of the provider, to be killed: carries out what it is told on its IPC channel. Started by
 * `providerProcess.ts`.
 */
import { Client } from "../support/client";
import { type Point, Saboteur } from "../support/saboteur";
import { caseOf } from "./cases";
import type { States } from "./cases/types";
import { type Crowd, crowd } from "./crowd";

/** What a provider process can be told to do; plain JSON. */
export type Job = { readonly configuration: Record<string, unknown> } & (
    | {
          readonly kind: "case";
          readonly title: string;
          readonly name: string;
          readonly before: States;
          readonly point: Point;
      }
    | ({ readonly kind: "crowd" } & Crowd)
);

export interface Answer {
    readonly error?: string;
    readonly result?: unknown;
}

async function carryOut(job: Job): Promise<unknown> {
    const host = { configuration: () => job.configuration };
    if (job.kind === "crowd") return crowd(new Client(host, { stack: job.stack }), job);
    const client = new Client(host, { transport: new Saboteur(job.point).transport });
    return caseOf(job.title).act(client, job.name, job.before);
}

process.once("message", (job: Job) => {
    void carryOut(job).then(
        (result) => process.send?.({ result } satisfies Answer),
        (error: unknown) =>
            process.send?.({
                error: error instanceof Error ? error.message : String(error),
            } satisfies Answer),
    );
});
process.once("disconnect", () => process.exit());
process.send?.("ready");
