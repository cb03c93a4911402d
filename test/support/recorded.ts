import { expect } from "vitest";
import type { PluginClient } from "./plugin";

/** Resources as a version of the provider has recorded them, for later ones to replay. */

export type Values = Record<string, unknown>;

export interface Recorded {
    readonly kind: string;
    readonly name: string;
    readonly id: string;
    readonly inputs: Values;
    readonly outputs: Values;
}

/** Makes a resource, and adds it to those recorded. */
export async function makeRecorded(
    plugin: PluginClient,
    recorded: Recorded[],
    kind: string,
    name: string,
    given: Values,
): Promise<Recorded> {
    const { inputs, failures } = await plugin.check(kind, name, given);
    expect(failures).toEqual([]);
    const { id, state } = await plugin.create(kind, name, inputs);
    const made = { kind, name, id, inputs, outputs: state };
    recorded.push(made);
    return made;
}

/** This version reads just that state, finds nothing to change, and deletes it all. */
export async function expectAsRecorded(plugin: PluginClient, recorded: readonly Recorded[]): Promise<void> {
    for (const { kind, name, id, inputs, outputs } of recorded) {
        const read = await plugin.read(kind, name, id, { olds: outputs, inputs });
        expect(read, name).toEqual({ id, state: outputs, inputs });
        const checked = await plugin.check(kind, name, inputs, { olds: inputs });
        expect(checked, name).toEqual({ inputs, failures: [] });
        const given = { id, olds: read.state, oldInputs: inputs, news: checked.inputs };
        expect(await plugin.diff(kind, name, given), name).toMatchObject({ changes: false, detailed: {} });
    }
    for (const { kind, name, id, outputs } of [...recorded].reverse())
        await plugin.delete(kind, name, id, outputs);
}
