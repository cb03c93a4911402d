import { Hosts } from "../../provider/host/hosts";
import { lifecycles } from "../../provider/resources";
import type { Context, Lifecycle } from "../../provider/resources/types";

/** What the benches share: resources through the core, without the engine, and their remote runs counted. */

export interface Made {
    readonly id: string;
    readonly state: Record<string, unknown>;
}

/** As one process of the provider. */
export function contextFor(name: string, configuration: unknown): Context {
    const hosts = new Hosts({ [name]: configuration });
    return { hosts, installation: "bench", warn: (message) => console.error(message) };
}

export function kind(name: string): Lifecycle<Record<string, unknown>, Record<string, unknown>> {
    const found = lifecycles[name];
    if (found === undefined) throw new Error(`no ${name}`);
    return found as Lifecycle<Record<string, unknown>, Record<string, unknown>>;
}

export async function create(
    context: Context,
    type: string,
    resource: string,
    args: Record<string, unknown>,
): Promise<Made> {
    const owner = { organization: "bench", project: "bench", stack: "bench", resource };
    const { inputs, failures } = await kind(type).check(context, undefined, { ...args, owner });
    if (failures.length > 0)
        throw new Error(failures.map(({ property, reason }) => `${property}: ${reason}`).join("\n"));
    return kind(type).create(context, inputs);
}

export function runs(context: Context): number {
    return context.hosts.statistics().reduce((sum, { remoteRuns }) => sum + remoteRuns, 0);
}

/** Remote runs of one warm operation. */
export async function counted<T>(context: Context, what: () => Promise<T>): Promise<[T, number]> {
    const before = runs(context);
    const result = await what();
    return [result, runs(context) - before];
}

/** Width 64: as Pulumi does with `--parallel 64`. Results are in order. */
export async function inParallel<T>(n: number, width: number, what: (i: number) => Promise<T>): Promise<T[]> {
    let next = 0;
    const results: T[] = [];
    const worker = async () => {
        for (let i = next++; i < n; i = next++) results[i] = await what(i);
    };
    await Promise.all(Array.from({ length: width }, worker));
    return results;
}

export const iqn = (n: number) => `iqn.2024-01.com.example:client${String(n)}`;
export const chap = (n: number) => ({
    username: `user${String(n)}`,
    password: `password-of-${String(n).padStart(4, "0")}`,
});

/** One line for each number, named by where it is. */
export function print(value: object, under = ""): void {
    for (const [key, inner] of Object.entries(value)) {
        const name = under === "" ? key : `${under}.${key}`;
        if (typeof inner === "object" && inner !== null) print(inner as object, name);
        else
            console.log(
                `${name.padEnd(32)} ${typeof inner === "number" && !Number.isInteger(inner) ? inner.toFixed(4) : String(inner)}`,
            );
    }
}
