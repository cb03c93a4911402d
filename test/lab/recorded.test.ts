import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkout } from "../../tools/paths.mjs";
import { quote } from "../../provider/sh";
import { PluginClient } from "../support/plugin";
import { type Recorded, type Values, expectAsRecorded, makeRecorded } from "../support/recorded";
import { type Lab, startLab } from "./lab.mjs";
import { CHAP, CLIENT_IQN, CLIENT_NQN, KEYS, LEAVINGS, MUTUAL } from "./support/attachments";

/**
 * State of a released version, and what it made on hosts with real kernels, replayed by this one: nothing may differ.
 * What a version writes is recorded once, with `BLOCKHOST_RECORD=<version>`, and stays as it is. The hosts of every lab
 * have the same disks, addresses and names, so nothing has to be put in its place. On the embedded host:
 * `test/contract/recorded.test.ts`.
 */

interface Recording {
    /** The volume group, as `vgcfgbackup` writes it: identities, volumes, tags. */
    readonly group: string;
    readonly deviceId: string;
    /** Text of the state directories' files, by host and path. They hold secrets, which are secret nowhere else. */
    readonly files: Readonly<Record<"a" | "c", Readonly<Record<string, string>>>>;
    /** What systemd runs of ours, by host: an archive below {@link UNITS}, in base64. */
    readonly units: Readonly<Record<"a" | "c", string>>;
    readonly resources: Recorded[];
}

const folder = join(checkout, "test", "lab", "recorded");
const STATE = "/var/lib/blockhost";
const UNITS = "/etc/systemd/system";
const BACKUP = "/run/recorded.vg";

let lab: Lab;
let plugin: PluginClient;
const a = () => lab.host("a");
const c = () => lab.host("c");

beforeAll(async () => {
    lab = await startLab({ hosts: ["a", "c"] });
    plugin = await PluginClient.start();
    const hosts = {
        san: a().configuration({
            connectTimeout: 60_000,
            pools: { bulk: { driver: "lvm", volumeGroup: "vgbulk" } },
            targets: {
                iscsi: { helper: "lio", portals: a().portals(3260) },
                "nvme-tcp": { helper: "nvmet", portals: a().portals(4420) },
            },
        }),
        db: c().configuration({ connectTimeout: 60_000 }),
    };
    await plugin.configure({ hosts: JSON.stringify(hosts) });
});
afterAll(async () => {
    await plugin.stop();
    await lab.stop();
});

async function filesOf(host: ReturnType<typeof a>): Promise<Record<string, string>> {
    const { stdout } = await host.run(
        `cd ${STATE} && find pools exports attachments boot-* shutdown-* -type f 2>/dev/null; :`,
    );
    const files: Record<string, string> = {};
    for (const path of stdout.trim().split("\n").sort())
        if (path !== "") files[path] = (await host.run(`cat ${quote(`${STATE}/${path}`)}`)).stdout;
    return files;
}

async function unitsOf(host: ReturnType<typeof a>): Promise<string> {
    const archive = `cd ${UNITS} && find . -name '*blockhost*' | sort | tar -cf - --mtime=@0 -T - | base64 -w 0`;
    return (await host.run(archive)).stdout;
}

async function record(version: string): Promise<void> {
    const resources: Recorded[] = [];
    const make = (kind: string, name: string, given: Values) =>
        makeRecorded(plugin, resources, kind, name, given);
    await make("Pool", "bulk", { host: "san", disks: [a().diskPath("disk1")] });
    const place = { host: "san", pool: "bulk", size: "16MiB" };
    const data = await make("Volume", "data", place);
    await make("Snapshot", "before", { volume: data.id });
    const log = await make("Volume", "log", place);
    const chap = { chap: CHAP, mutualChap: MUTUAL };
    const lun = await make("Export", "lun", {
        source: data.id,
        protocol: "iscsi",
        initiators: [{ iqn: CLIENT_IQN, ...chap }],
    });
    const namespace = await make("Export", "namespace", {
        source: log.id,
        protocol: "nvme-tcp",
        initiators: [{ nqn: CLIENT_NQN, dhchap: KEYS }],
    });
    const disk = { host: "db", connection: lun.outputs["connection"], sizeBytes: data.outputs["sizeBytes"] };
    await make("Attachment", "disk", disk);
    await make("Attachment", "drive", { host: "db", connection: namespace.outputs["connection"] });
    const { stdout: group } = await a().run(`vgcfgbackup -q -f ${BACKUP} vgbulk >/dev/null && cat ${BACKUP}`);
    const { stdout: deviceId } = await a().run("pvs --noheadings -o pv_uuid | tr -d ' \\n'");
    const files = { a: await filesOf(a()), c: await filesOf(c()) };
    const units = { a: await unitsOf(a()), c: await unitsOf(c()) };
    const text = JSON.stringify({ group, deviceId, files, units, resources } satisfies Recording, null, 2);
    writeFileSync(join(folder, `${version}.json`), `${text}\n`);
}

/** Puts on the hosts what was there, and brings it up as a boot does. */
async function replay({ group, deviceId, files, units }: Recording): Promise<void> {
    const disk = a().diskPath("disk1");
    await a().run(`printf '%s' ${quote(group)} > ${BACKUP}
pvcreate -q -ff -y --uuid ${deviceId} --restorefile ${BACKUP} ${disk} && vgcfgrestore -q -f ${BACKUP} vgbulk && vgchange -q -ay vgbulk`);
    for (const [host, its, unit] of [
        [a(), files.a, units.a],
        [c(), files.c, units.c],
    ] as const) {
        await host.run(`printf '%s' ${quote(unit)} | base64 -d | tar -xf - -C ${UNITS}`);
        await host.run(`mkdir -p -m 0700 ${STATE}`);
        for (const [path, text] of Object.entries(its)) {
            const at = `${STATE}/${path}`;
            await host.run(
                `umask 077; mkdir -p ${quote(dirname(at))} && printf '%s' ${quote(text)} > ${quote(at)}`,
            );
        }
        await host.run(`for f in ${STATE}/exports/*/* ${STATE}/attachments/*; do [ ! -f "$f" ] || sh "$f" || exit; done
udevadm settle`);
    }
}

async function expectUnchanged(recording: Recording): Promise<void> {
    await expectAsRecorded(plugin, recording.resources);
    expect((await a().run("pvs --noheadings; vgs --noheadings")).stdout.trim()).toBe("");
    expect((await c().run(LEAVINGS)).stdout).toBe("");
}

const recordAs = process.env["BLOCKHOST_RECORD"];
if (recordAs !== undefined)
    // Replayed by another process: this one knows of the hosts what it has made there itself.
    test("records this version", async () => {
        await record(recordAs);
        const text = readFileSync(join(folder, `${recordAs}.json`), "utf8");
        await expectUnchanged(JSON.parse(text) as Recording);
    });

test.runIf(recordAs === undefined).each(readdirSync(folder).filter((name) => name.endsWith(".json")))(
    "what %s recorded is as it is",
    async (name) => {
        const recording = JSON.parse(readFileSync(join(folder, name), "utf8")) as Recording;
        await replay(recording);
        await expectUnchanged(recording);
    },
);
