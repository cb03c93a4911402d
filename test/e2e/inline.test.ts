import { existsSync } from "node:fs";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { FACES } from "./support/package";
import { TestStack } from "./support/stack";

describe.each(FACES)("$face face:", ({ blockhost }) => {
    let host: EmbeddedHost;
    let stack: TestStack;
    beforeAll(async () => {
        host = await startEmbeddedHost();
        stack = await TestStack.create({ hosts: [] });
    });
    afterAll(async () => {
        await host.stop();
        stack.remove();
    });

    /** Stands for a machine whose address nobody knows before it is made. */
    class Machine extends pulumi.dynamic.Resource {
        declare readonly address: pulumi.Output<string>;

        constructor(name: string, lease: string) {
            super(MACHINES, name, { lease, address: undefined });
        }
    }

    const MACHINES: pulumi.dynamic.ResourceProvider = {
        create: async (inputs: { lease: string }) => ({
            id: "m-1",
            outs: { ...inputs, address: inputs.lease },
        }),
    };

    const program = () => async () => {
        const machine = new Machine("machine", host.address);
        const storage = { ...host.configuration(), name: "new-san", address: machine.address };
        const volume = new blockhost.Volume("data", { host: storage, pool: "fast", size: "16MiB" });
        const snapshot = new blockhost.Snapshot("before", { volume });
        new blockhost.Export("lun", {
            source: snapshot,
            protocol: "iscsi",
            initiators: [{ iqn: "iqn.2024-01.com.example:backup1" }],
        });
    };

    test("a host may be given inline, its address the output of another resource", async () => {
        const preview = await stack.preview(program());
        expect(preview).toMatchObject({ failed: false, changes: { data: "create", lun: "create" } });
        const up = await stack.up(program());
        expect(up).toMatchObject({
            failed: false,
            diagnostics: [],
            changes: { data: "create", lun: "create" },
        });
        const { data, before } = await stack.resources();
        expect(data?.id).toBe("new-san/fast/data");
        expect(before?.id).toBe("new-san/fast/before");
        expect(existsSync(join(host.poolDirectories["fast"] ?? "", "data.img"))).toBe(true);

        expect(await stack.preview(program())).toMatchObject({ failed: false, changes: {}, diagnostics: [] });
        expect(await stack.refresh()).toMatchObject({ failed: false, diagnostics: [] });
        expect(await stack.destroy()).toMatchObject({ failed: false, diagnostics: [] });
        expect(existsSync(join(host.poolDirectories["fast"] ?? "", "data.img"))).toBe(false);
    });

    test("what is wrong with an inline host is said by its path", async () => {
        const preview = await stack.preview(async () => {
            const { port: _, ...rest } = host.configuration();
            const storage = { ...rest, name: "new-san", prot: 22, hostKey: "blindly" };
            new blockhost.Volume("data", { host: storage, pool: "fast", size: "16MiB" });
        });
        expect(preview.failed).toBe(true);
        const said = preview.diagnostics.map(({ message }) => message).join("\n");
        expect(said).toMatch(/host\.prot: there is no such property; did you mean "port"\?/);
        expect(said).toMatch(/host\.hostKey: .*SHA256/);
    });
});
