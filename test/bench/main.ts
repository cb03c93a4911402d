import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as pulumi from "@pulumi/pulumi";
import { startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { mountXfs } from "../../tools/embedded-host/filesystems.mjs";
import { checkout } from "../../tools/paths.mjs";
import { startSshd } from "../contract/support/sshd";
import { benchPreview } from "./preview";
import { type Made, chap, contextFor, counted, create, inParallel, iqn, kind, print, runs } from "./support";
import { type TransportBench, benchTransport } from "./transport";

/**
 * `npm run bench [-- --json FILE]`: what operations cost, counted by the code. Ratios mean something, times do not.
 * docs/performance.md has the options.
 */

const PARTS = ["operations", "scale", "transport", "preview"] as const;

const { values } = parseArgs({
    options: {
        json: { type: "string" },
        // A preview of many volumes takes longer than all the rest.
        parts: { type: "string", default: "operations,scale,transport" },
        count: { type: "string", default: "200" },
        previews: { type: "string", default: "1000" },
    },
});
const count = Number(values.count);
const parts = new Set(values.parts.split(","));

type Embedded = Awaited<ReturnType<typeof startEmbeddedHost>>;
async function remoteRuns(host: Embedded) {
    const context = contextFor(host.name, host.configuration());
    const place = { host: host.name, pool: "fast" };
    await create(context, "Volume", "warm", { ...place, size: "1MiB" });
    const [data, createRuns] = await counted(context, () =>
        create(context, "Volume", "data", { ...place, size: "8MiB" }),
    );
    const larger = { ...data.state, size: "16MiB" };
    const [extended, extend] = await counted(context, () =>
        kind("Volume").update(context, data.state, larger),
    );
    const [snap, snapshot] = await counted(context, () =>
        create(context, "Snapshot", "snap", { volume: data.id }),
    );
    const [, clone] = await counted(context, () =>
        create(context, "Volume", "clone", { ...place, source: { snapshot: snap.id } }),
    );
    const [lun, exported] = await counted(context, () =>
        create(context, "Export", "lun", {
            source: data.id,
            protocol: "iscsi",
            initiators: [{ iqn: iqn(0), chap: chap(0) }],
        }),
    );
    await kind("Export").delete(context, lun.state);
    await kind("Snapshot").delete(context, snap.state);
    const [, remove] = await counted(context, () => kind("Volume").delete(context, extended));
    const many = await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
            create(context, "Volume", `r${String(i)}`, { ...place, size: "1MiB" }),
        ),
    );
    const fresh = contextFor(host.name, host.configuration());
    const [, refresh100] = await counted(fresh, () =>
        Promise.all(many.map(({ state }) => kind("Volume").read(fresh, state))),
    );
    const connections = Math.max(
        ...[context, fresh].flatMap((c) => c.hosts.statistics().map((s) => s.connections)),
    );
    await Promise.all(many.map(({ state }) => kind("Volume").delete(context, state)));
    await Promise.all([context.hosts.close(), fresh.hosts.close()]);
    return {
        connections,
        remoteRuns: {
            create: createRuns,
            extend,
            snapshot,
            clone,
            export: exported,
            delete: remove,
            refresh100,
        },
    };
}

async function scale(host: Embedded) {
    const context = contextFor(host.name, host.configuration());
    const place = { host: host.name, pool: "fast" };
    await context.hosts.get(host.name).facts();
    const started = performance.now();
    let peak = 0;
    const exports: Made[] = [];
    const volumes: Made[] = [];
    await inParallel(count, 64, async (i) => {
        const volume = await create(context, "Volume", `s${String(i)}`, { ...place, size: "1MiB" });
        const initiators = [{ iqn: iqn(i), chap: chap(i) }];
        exports.push(
            await create(context, "Export", `s${String(i)}`, {
                source: volume.id,
                protocol: "iscsi",
                initiators,
            }),
        );
        volumes.push(volume);
        peak = Math.max(peak, process.memoryUsage().rss);
    });
    const seconds = (performance.now() - started) / 1000;
    const used = runs(context);
    await inParallel(count, 64, (i) => kind("Export").delete(context, exports[i]?.state ?? {}));
    await inParallel(count, 64, (i) => kind("Volume").delete(context, volumes[i]?.state ?? {}));
    await context.hosts.close();
    return {
        volumes: count,
        exports: count,
        remoteRuns: used,
        secondsPerVolume: seconds / count,
        bareSecondsPerVolume: bare(host) / count,
        peakMemoryMiB: Math.round(peak / 1024 / 1024),
    };
}

/** The same objects by the bare commands from one shell on the host itself; seconds. */
function bare(host: Embedded): number {
    const directory = mkdtempSync(join(tmpdir(), "blockhost-bare-"));
    const c = String(host.tgt?.controlPort);
    const tgtadm = `tgtadm -C ${c} --lld iscsi`;
    const script = `set -e
i=0; while [ $i -lt ${String(count)} ]; do i=$((i+1)); t=$((1000+i))
truncate -s 1M ${directory}/$i.img
${tgtadm} --op new --mode target --tid $t -T iqn.2024-01.com.example:bare$i
${tgtadm} --op new --mode logicalunit --tid $t --lun 1 -b ${directory}/$i.img
${tgtadm} --op new --mode account --user bare$i --password password-of-$i
${tgtadm} --op bind --mode account --tid $t --user bare$i
${tgtadm} --op bind --mode target --tid $t -Q iqn.2024-01.com.example:client$i
done
sync -f ${directory}`;
    const started = performance.now();
    const done = spawnSync("sh", [], { input: script, encoding: "utf8" });
    const seconds = (performance.now() - started) / 1000;
    if (done.status !== 0) throw new Error(`the bare commands failed: ${done.stderr}`);
    const clear = `i=0; while [ $i -lt ${String(count)} ]; do i=$((i+1)); ${tgtadm} --op delete --mode target --tid $((1000+i)); ${tgtadm} --op delete --mode account --user bare$i; done`;
    spawnSync("sh", [], { input: clear });
    rmSync(directory, { recursive: true });
    return seconds;
}

/** As Pulumi serialises it into state, from the package as users have it. */
async function providerBytes(): Promise<number> {
    const packed = join(checkout, "node_modules", "pulumi-blockhost", "dist", "sdk", "nodejs", "shim.js");
    const { shim } = createRequire(__filename)(packed) as { shim: unknown };
    const { text } = await pulumi.runtime.serializeFunction(() => shim);
    return Buffer.byteLength(text);
}

/** On loopback, against a real sshd that serves nobody else. */
async function transport(): Promise<TransportBench> {
    const sshd = await startSshd({ keyTypes: ["ed25519"] });
    try {
        return await benchTransport(sshd.config());
    } finally {
        await sshd.stop();
    }
}

/** What is done on one host, with its pool on XFS. */
async function onHost(): Promise<object> {
    if (!parts.has("operations") && !parts.has("scale")) return {};
    const xfs = await mountXfs({});
    const host = await startEmbeddedHost({
        name: "bench",
        pools: ["fast"],
        poolDirectories: { fast: join(xfs.directory, "fast") },
    });
    try {
        const operations = parts.has("operations") ? await remoteRuns(host) : undefined;
        return {
            ...(operations && {
                connectionsPerHost: operations.connections,
                remoteRuns: operations.remoteRuns,
                providerBytes: await providerBytes(),
            }),
            ...(parts.has("scale") && { scale: await scale(host) }),
        };
    } finally {
        await host.stop();
        await xfs.close();
    }
}

async function main(): Promise<void> {
    const wrong = [...parts].find((part) => !PARTS.some((one) => one === part));
    if (wrong !== undefined)
        throw new Error(`--parts: there is no ${wrong}; choose among ${PARTS.join(",")}`);
    const result = {
        ...(await onHost()),
        ...(parts.has("transport") && { transport: await transport() }),
        ...(parts.has("preview") && { preview: await benchPreview(Number(values.previews)) }),
    };
    print(result);
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, undefined, 2)}\n`);
}

void main().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
});
