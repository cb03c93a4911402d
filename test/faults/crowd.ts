import type { ExportState } from "../../provider/resources/export";
import type { VolumeState } from "../../provider/resources/volume";
import { type Client, MiB } from "../support/client";
import { access, type Who } from "./access";

/** One of several stacks at work on a host at once: all that it declares, changed and in part deleted again. */
export interface Crowd {
    readonly stack: string;
    readonly count: number;
    /** Whether each volume has an export. */
    readonly exports: boolean;
}

export interface CrowdResult {
    readonly volumes: readonly VolumeState[];
    readonly exports: readonly ExportState[];
    /** Names of what was made and deleted. */
    readonly deleted: readonly string[];
}

/** Who comes in by the i-th export of a stack: a stack's exports share a few accounts. */
export function whoseIs(stack: string, i: number): Who {
    const user = `${stack}${String(i % 5)}`;
    return { user, secret: `Password-of-${user}` };
}

/** Every volume goes its own way as fast as it can: create, export (where there are targets), every second one grows, every third one goes. */
export async function crowd(
    client: Client,
    { stack, count, exports: exporting }: Crowd,
): Promise<CrowdResult> {
    const volumes: VolumeState[] = [];
    const exports: ExportState[] = [];
    const deleted: string[] = [];
    await Promise.all(
        Array.from({ length: count }, async (_, i) => {
            const name = `${stack}-${String(i)}`;
            const whom = access(client.protocol, whoseIs(stack, i));
            let volume = await client.volume(name);
            let one = exporting ? await client.export(name, name, whom) : undefined;
            if (i % 2 === 0) {
                volume = await client.change(volume, { size: 8 * MiB });
                if (one !== undefined) one = await client.changeExport(one, whom);
            }
            if (i % 3 === 0) {
                if (one !== undefined) await client.delete(one);
                await client.delete(volume);
                deleted.push(name);
            } else {
                volumes.push(volume);
                if (one !== undefined) exports.push(one);
            }
        }),
    );
    return { volumes, exports, deleted };
}
