import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { Context } from "../../../provider/resources/types";
import { Hosts } from "../../../provider/host/hosts";
import { lifecycles } from "../../../provider/resources";
import { type FileSystem, type Mounted, mount, mountCopy } from "../../support/mounts";

/**
 * What was reported done survives a power cut that comes right after: the block device is copied at that moment, and
 * the copy mounted as after a restart.
 */

const MiB = 2 ** 20;
const owner = { organization: "acme", project: "shop", stack: "prod" };
const inputs = (kind: string, name: string, more: object) => ({
    kind,
    args: { host: "emb", name, owner: { ...owner, resource: name }, ...more },
});
const volume = (more: object = {}) => inputs("Volume", "v", { pool: "fast", size: "1MiB", ...more });
const snapshot = inputs("Snapshot", "s", { volume: "emb/fast/v" });
const clone = inputs("Volume", "c", { pool: "fast", size: "2MiB", source: { snapshot: "emb/fast/s" } });
const revertTo = { snapshot: "emb/fast/s", token: "1" };

/** This machine as a storage host, with the pool on a file system of its own. */
class Machine {
    private readonly context: Context;
    private readonly hosts: Hosts;
    private readonly states = new Map<string, unknown>();
    readonly pool: string;

    constructor(
        readonly mounted: Mounted,
        provisioning: "thin" | "thick",
    ) {
        this.pool = join(mounted.directory, "pool");
        mkdirSync(this.pool);
        this.hosts = new Hosts({
            emb: {
                address: "local",
                stateDirectory: join(mounted.directory, "state"),
                pools: { fast: { driver: "file", directory: this.pool, initialize: true, provisioning } },
            },
        });
        this.context = { hosts: this.hosts, installation: "default", warn: () => undefined };
    }

    private lifecycle(kind: string) {
        const found = lifecycles[kind];
        if (found === undefined) throw new Error(`no ${kind}`);
        return found;
    }

    async create({ kind, args }: ReturnType<typeof inputs>): Promise<void> {
        const { state } = await this.lifecycle(kind).create(this.context, args);
        this.states.set(args.name, state);
    }

    async update({ kind, args }: ReturnType<typeof inputs>): Promise<void> {
        const olds = this.states.get(args.name) ?? {};
        this.states.set(args.name, await this.lifecycle(kind).update(this.context, olds, args));
    }

    async delete({ kind, args }: ReturnType<typeof inputs>): Promise<void> {
        await this.lifecycle(kind).delete(this.context, this.states.get(args.name) ?? {});
    }

    write(word: string): void {
        if (existsSync(join(this.pool, "v.img")))
            writeFileSync(join(this.pool, "v.img"), Buffer.alloc(MiB, word));
    }

    /** Somebody has changed something. */
    forget(): void {
        this.hosts.get("emb").forget();
    }

    async close(): Promise<void> {
        await this.hosts.close();
        this.mounted.unmount();
    }
}

/** Everything in a pool: type, size, text of links, whether space was taken, digest of the data. */
function contentOf(pool: string): string[] {
    return execFileSync("find", [pool, "-mindepth", "1", "-printf", "%P\t%y\t%s\t%b\t%l\n"], {
        encoding: "utf8",
    })
        .trimEnd()
        .split("\n")
        .sort()
        .map((line) => {
            const [path = "", type = "", size = "0", blocks = "0", target = ""] = line.split("\t");
            if (type !== "f") return `${type} ${path} ${target}`;
            const digest = createHash("sha256")
                .update(readFileSync(join(pool, path)))
                .digest("hex");
            const full = Number(blocks) * 512 >= Number(size);
            return `${type} ${path} ${size} ${full ? "full" : "sparse"} ${digest.slice(0, 12)}`;
        });
}

type Act = (machine: Machine) => Promise<unknown>;
const operations: Record<string, { before: Act[]; act: Act; provisioning?: "thick" }> = {
    create: { before: [], act: (m) => m.create(volume()) },
    "create thick": { before: [], act: (m) => m.create(volume()), provisioning: "thick" },
    extend: { before: [(m) => m.create(volume())], act: (m) => m.update(volume({ size: "16MiB" })) },
    "extend thick": {
        before: [(m) => m.create(volume())],
        act: (m) => m.update(volume({ size: "16MiB" })),
        provisioning: "thick",
    },
    snapshot: { before: [(m) => m.create(volume())], act: (m) => m.create(snapshot) },
    clone: {
        before: [(m) => m.create(volume()), (m) => m.create(snapshot)],
        act: (m) => m.create(clone),
    },
    "clone thick": {
        before: [(m) => m.create(volume()), (m) => m.create(snapshot)],
        act: (m) => m.create(clone),
        provisioning: "thick",
    },
    revert: {
        before: [(m) => m.create(volume()), (m) => m.create(snapshot)],
        act: (m) => m.update(volume({ size: "1MiB", revertTo })),
    },
    delete: { before: [(m) => m.create(volume())], act: (m) => m.delete(volume()) },
    "wipe and delete": {
        before: [(m) => m.create(volume({ size: "1MiB", wipe: { method: "zero" } }))],
        act: (m) => m.delete(volume()),
    },
    adopt: {
        before: [
            (m) => m.create(inputs("Volume", "first", { pool: "fast", size: "1MiB" })),
            (m) => {
                writeFileSync(join(m.pool, "disk.raw"), Buffer.alloc(MiB, "theirs"), { flush: true });
                m.forget();
                return Promise.resolve();
            },
        ],
        act: (m) => m.create(inputs("Volume", "v", { pool: "fast", adopt: "disk.raw" })),
    },
    release: {
        before: [(m) => m.create(volume({ size: "1MiB", onDelete: "retain" }))],
        act: (m) => m.delete(volume()),
    },
};

const everything = Object.keys(operations);
const resizing = ["create", "extend", "extend thick", "delete"];
const copying = ["snapshot", "clone thick", "revert"];

describe.each<[FileSystem, readonly string[]]>([
    ["xfs", everything],
    ["xfs-without-reflink", copying],
    ["ext4", resizing],
    ["ext4-without-journal", [...resizing, ...copying]],
    ["btrfs", ["extend", "revert"]],
])("on %s", (kind, names) => {
    let machine: Machine;
    afterEach(() => machine.close());

    test.each(names)("%s", async (name) => {
        const { before = [], act, provisioning } = operations[name] ?? {};
        machine = new Machine(mount(kind, 300), provisioning ?? "thin");
        for (const one of before) {
            await one(machine);
            if (one === before[0] && before.length > 1 && provisioning === undefined) machine.write("x");
        }
        // Nothing but the operation itself may be what makes it durable.
        execFileSync("sync", ["-f", machine.pool]);
        await act?.(machine);
        const copy = mountCopy(machine.mounted);
        try {
            expect(contentOf(join(copy.directory, "pool"))).toEqual(contentOf(machine.pool));
        } finally {
            copy.unmount();
        }
    });
});
