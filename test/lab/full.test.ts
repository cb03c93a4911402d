import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { snapshot } from "../../provider/resources/snapshot";
import { type VolumeState, volume } from "../../provider/resources/volume";
import { type Client, MiB, POOL, id, refused, volumeInputs } from "../support/client";
import { type Lab, startLab } from "./lab.mjs";
import { type LvmBackend, lvmBackend } from "./lvmBackend";

/**
 * Thin pools whose data or metadata runs out, and snapshots of thick volumes that overflow: nothing is created any more
 * before that happens, and what happened all the same is drift that says what to do.
 */

let lab: Lab;
let thin: LvmBackend;
let thick: LvmBackend;
const opened: Client[] = [];

beforeAll(async () => {
    lab = await startLab({ hosts: ["a"] });
    thin = lvmBackend("thin", () => Promise.resolve(lab));
    thick = lvmBackend("thick", () => Promise.resolve(lab));
    await thin.start();
    await thick.start();
});
afterAll(() => lab.stop());
afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.close()));
});

/** A new process of the provider with a pool. */
function another(backend: LvmBackend, more: Readonly<Record<string, unknown>>): Client {
    const pools = { [POOL]: { ...backend.options, ...more } };
    const client = backend.client({ configuration: { pools } });
    opened.push(client);
    return client;
}

/** Reads a volume as a refresh does, in a new process; what that process warned of comes with it. */
async function refreshed(client: Client, state: VolumeState) {
    const seen = await client.read(state);
    return { seen, warnings: client.warnings.join("\n") };
}

async function expectNoDrift(client: Client, state: VolumeState): Promise<void> {
    expect(await refreshed(client, state)).toEqual({ seen: state, warnings: "" });
    expect(await volume.diff(client.context, state, volumeInputs(state))).toEqual([]);
}

describe("a thin pool", () => {
    const pool = { thinPool: "small", maxOverSubscriptionRatio: 20 };
    const lv = "vg0/small";
    const fresh = (more: Readonly<Record<string, unknown>> = {}) => another(thin, { ...pool, ...more });
    const percent = async (field: "data_percent" | "metadata_percent") =>
        Number(await thin.run(`lvs --noheadings -o ${field} ${lv}`));

    beforeEach(async () => {
        await thin.run(`lvs ${lv} >/dev/null 2>&1 && lvremove -q -f -y ${lv}
            rm -rf ${thin.stateDirectory}
            lvcreate -q --type thin-pool -L 64m -c 64k --poolmetadatasize 2m -n small vg0
            lvchange -q --errorwhenfull y ${lv}`);
    });

    test("that is almost full takes nothing new, and says so; extended, it does again", async () => {
        const state = await fresh().volume("d1", { size: "128MiB" });
        await thin.run(`dd if=/dev/zero of=${state.path} bs=1M count=62 oflag=direct status=none`);
        expect(await percent("data_percent")).toBeGreaterThan(95);

        const full = fresh();
        const { failures } = await volume.check(full.context, undefined, { ...full.volumeArgs("d2") });
        expect(failures.map(({ reason }) => reason).join()).toMatch(/9\d\.\d+ % of its data/);
        const error = await refused(fresh().volume("d2"), "no-space");
        expect(error.details.hint).toContain("lvextend");
        await refused(fresh().snapshot("d1-s", "d1"), "no-space");
        const { seen, warnings } = await refreshed(fresh(), state);
        expect(seen).toEqual(state);
        expect(warnings).toMatch(/95 % full.*lvextend/);
        // It is a matter of policy.
        await fresh({ maxDataPercent: 99 }).volume("d3");

        await thin.run(`lvextend -q -L +64m ${lv}`);
        await fresh().volume("d2");
        await expectNoDrift(fresh(), state);
    });

    test("that is full is drift of its volumes with the remedy; what frees room still goes", async () => {
        const client = fresh();
        const state = await client.volume("d1", { size: "128MiB" });
        const other = await client.volume("d2");
        await thin.run(`! dd if=/dev/zero of=${state.path} bs=1M oflag=direct status=none 2>/dev/null`);
        expect(await percent("data_percent")).toBe(100);

        const { seen } = await refreshed(fresh(), state);
        expect(seen?.health?.join()).toMatch(/vg0\/small" is full.*lvextend/);
        // Nothing that an update could mend.
        expect(await volume.diff(fresh().context, seen ?? state, volumeInputs(state))).toEqual([]);
        expect((await refreshed(fresh(), other)).seen?.health).toHaveLength(1);
        await refused(fresh().volume("d3"), "no-space");
        await fresh().delete(state);
        await expectNoDrift(fresh(), other);
        await fresh().volume("d3");
    });

    /** Takes blocks of metadata: every snapshot makes the next writes copy the nodes that map them, one write a node. */
    const takeMetadata = (path: string, until: number) =>
        thin.host.run(
            `
        id=$(lvs --noheadings -o thin_id vg0/d1 | tr -d ' ')
        tries=0
        while [ $tries -lt 60 ]; do
            set -- $(dmsetup status vg0-small-tpool)
            [ $((\${5%/*} * 100)) -lt $((\${5#*/} * ${String(until)})) ] || exit 0
            tries=$((tries + 1))
            dmsetup suspend vg0-d1
            dmsetup message vg0-small-tpool 0 "create_snap $((1000 + tries)) $id"
            dmsetup resume vg0-d1
            perl -MIO::Handle -e 'open(my $f, "+<", $ARGV[0]) or exit 1; my $block = "\\0" x 65536;
                for (0 .. 20) { sysseek($f, $_ * 48 * 65536, 0); syswrite($f, $block) or exit 1 } $f->sync or exit 1' ${path} || exit 0
        done`,
            { timeoutMs: 600_000 },
        );

    test("that runs out of metadata takes nothing new, says so, and is drift where it has happened", async () => {
        await thin.run(`lvextend -q -L 1g ${lv}`);
        const state = await fresh().volume("d1", { size: "64MiB" });
        await thin.run(`dd if=/dev/zero of=${state.path} bs=1M count=64 oflag=direct status=none`);
        await takeMetadata(state.path, 82);
        expect(await percent("metadata_percent")).toBeGreaterThan(80);
        const error = await refused(fresh().volume("d2"), "no-space");
        expect(error.message).toMatch(/% of its metadata/);
        expect(error.details.hint).toContain("--poolmetadatasize");
        const almost = await refreshed(fresh(), state);
        expect(almost.seen).toEqual(state);
        expect(almost.warnings).toMatch(/metadata .*80 % full.*--poolmetadatasize/);

        await thin.run(`lvextend -q --poolmetadatasize +2m ${lv}`);
        await fresh().volume("d2");
        await expectNoDrift(fresh(), state);

        await takeMetadata(state.path, 101);
        expect(await thin.run(`lvs --noheadings -o lv_health_status ${lv}`)).toBe("metadata_read_only");
        const { seen } = await refreshed(fresh(), state);
        expect(seen?.health?.join()).toMatch(/metadata of thin pool "vg0\/small" is full.*poolmetadatasize/);
        await refused(fresh().volume("d3"), "no-space");
    });
});

describe("a snapshot of a thick volume", () => {
    const fresh = () => another(thick, { snapshotPercent: 10 });

    test("whose space is almost full says so, and is lost where it overflows; the volume is not", async () => {
        const client = fresh();
        const state = await client.volume("t1", { size: "64MiB" });
        await thick.fill("t1", 5, MiB);
        const taken = await client.snapshot("t1-s", "t1");
        const read = async () => (await snapshot.read(fresh().context, taken))?.state;
        const overwrite = (from: number, count: number) =>
            thick.run(
                `dd if=/dev/zero of=${state.path} bs=1M seek=${String(from)} count=${String(count)} oflag=direct conv=notrunc status=none`,
            );
        expect(await read()).toEqual(taken);
        await overwrite(10, 7);
        const almost = await read();
        expect(almost?.health?.join()).toMatch(/80 % full.*lvextend/);
        await thick.run("lvextend -q -L +8m vg1/t1-s");
        const { health } = (await read()) ?? {};
        expect(health).toBeUndefined();

        await overwrite(20, 20);
        const lost = await read();
        expect(lost?.health?.join()).toMatch(/the snapshot is lost.*snapshotPercent/);
        const source = { snapshot: id("t1-s") };
        await refused(fresh().volume("t1-c", { source }), "invalid");
        expect(await thick.exists("t1-c")).toBe(false);
        const revertTo = { snapshot: id("t1-s"), token: "one" };
        await refused(fresh().change(state, { revertTo }), "invalid");
        expect(await thick.firstByte("t1")).toBe(5);
        await fresh().delete(taken);
        await expectNoDrift(fresh(), state);
    });
});
