import { Client, MiB, POOL } from "../support/client";
import type { VolumeBackend } from "../contract/support/volumeBackend";
import type { Lab } from "./lab.mjs";

type Host = ReturnType<Lab["host"]>;

/** The volume group of a kind, with the disks it is made of. */
const GROUPS = {
    thin: { group: "vg0", disks: ["disk1", "disk2"] },
    thick: { group: "vg1", disks: ["disk3", "disk4"] },
} as const;

export interface LvmBackend extends VolumeBackend {
    readonly lab: Lab;
    readonly host: Host;
    readonly group: string;
    readonly stateDirectory: string;
    /** Options of the pool. */
    readonly options: Readonly<Record<string, unknown>>;
    /** Runs a script as root; its output, trimmed. */
    run(script: string): Promise<string>;
    /** Makes the volume group anew, with nothing in it. */
    prepare(): Promise<void>;
}

/** LVM in a storage host of the lab: a group of its own for each kind, so that both can be tried on one host. */
export function lvmBackend(kind: keyof typeof GROUPS, start: () => Promise<Lab>): LvmBackend {
    const { group, disks } = GROUPS[kind];
    const stateDirectory = `/var/lib/blockhost-${kind}`;
    const options = {
        driver: "lvm",
        volumeGroup: group,
        ...(kind === "thin" ? { thinPool: "pool0" } : {}),
    };
    let lab: Lab | undefined;
    const started = (): Lab => {
        if (lab === undefined) throw new Error("the lab was not started");
        return lab;
    };
    const host = (): Host => started().host("a");
    const run = async (script: string) =>
        (await host().run(`export LVM_SUPPRESS_FD_WARNINGS=1\n${script}`)).stdout.trim();
    const device = (name: string) => `/dev/${group}/${name}`;
    const paths = () => disks.map((disk) => host().diskPath(disk)).join(" ");
    const create = (name: string) =>
        kind === "thin"
            ? `lvcreate -q -y --type thin -V 4m --thinpool pool0 -n ${name} ${group}`
            : `lvcreate -q -y -L 4m -n ${name} ${group}`;
    const octal = (byte: number) => `\\${byte.toString(8).padStart(3, "0")}`;
    const fillScript = (name: string, byte: number, length: number) =>
        `head -c ${String(length)} /dev/zero | tr '\\000' '${octal(byte)}' |
    dd of=${device(name)} bs=${length < MiB ? "4096" : "1M"} iflag=fullblock oflag=direct conv=notrunc status=none`;
    const spare = `/var/tmp/${group}.img`;
    const prepare = async () => {
        await run(`vgremove -q -ff -y ${group} >/dev/null 2>&1
rm -rf ${stateDirectory}
wipefs -q -a ${paths()}
vgcreate -q ${group} ${paths()}
${kind === "thin" ? `lvcreate -q --type thin-pool -L 3g --poolmetadatasize 32m -n pool0 ${group} 2>/dev/null` : ":"}
sync ${paths()}`);
    };
    return {
        get lab() {
            return started();
        },
        get host() {
            return host();
        },
        group,
        stateDirectory,
        options,
        run,
        async start() {
            lab = await start();
            await prepare();
        },
        prepare,
        async stop() {
            await lab?.stop();
        },
        client: ({ configuration = {}, ...more }) => {
            const own = { stateDirectory, pools: { [POOL]: options }, ...configuration };
            return new Client(host(), { ...more, configuration: own });
        },
        grain: 4 * 2 ** 20,
        thin: kind === "thin",
        many: 20,
        withoutOverSubscription: { ...options, maxOverSubscriptionRatio: 1 },
        path: device,
        exists: async (name) => (await run(`lvs --noheadings ${group}/${name} 2>/dev/null | wc -l`)) === "1",
        sizeOf: async (name) => Number(await run(`blockdev --getsize64 ${device(name)}`)),
        async fill(name, byte, length = 4096) {
            await run(fillScript(name, byte, length));
        },
        firstByte: async (name) =>
            Number(
                await run(`dd if=${device(name)} bs=4096 count=1 iflag=direct status=none | od -An -tu1 -N1`),
            ),
        async open(name) {
            const pid = await run(`sleep 3600 <${device(name)} >/dev/null 2>&1 & echo $!`);
            return async () => {
                await run(`kill ${pid}; while kill -0 ${pid} 2>/dev/null; do sleep 0.1; done`);
            };
        },
        async foreign(name, byte) {
            await run(`${create(name)}\n${fillScript(name, byte, 4096)}`);
        },
        async legacy(name, byte) {
            await run(`${create(name)}\n${fillScript(name, byte, 4096)}`);
            return name;
        },
        async removeBehind(name) {
            await run(`lvremove -q -y ${group}/${name}`);
        },
        async unmark(name) {
            await run(
                `lvchange -q --deltag "$(lvs --noheadings -o lv_tags ${group}/${name} | tr -d ' ')" ${group}/${name}`,
            );
        },
        async growBehind(name, sizeBytes) {
            await run(`lvextend -q -L ${String(sizeBytes)}b ${group}/${name}`);
        },
        async takeDown(name) {
            await run(`lvchange -q -y -an ${group}/${name}`);
        },
        takeAway: {
            async renamed() {
                await run(`vgrename -q ${group} elsewhere`);
                return async () => {
                    await run(`vgrename -q elsewhere ${group}`);
                };
            },
            async "not activated"() {
                await run(`vgchange -q -an ${group}`);
                return async () => {
                    await run(`vgchange -q -ay -K ${group}`);
                };
            },
            async "another one under its name"() {
                await run(`vgrename -q ${group} elsewhere
truncate -s 64M ${spare}
vgcreate -q ${group} "$(losetup -f --show ${spare})"`);
                return async () => {
                    await run(`vgremove -q -ff -y ${group}
losetup -d "$(losetup -j ${spare} | cut -d: -f1)"
rm ${spare}
vgrename -q elsewhere ${group}`);
                };
            },
            async "a disk pulled"() {
                await run(`vgchange -q -an ${group}`);
                await host().pullDisk(disks[1]);
                return async () => {
                    await host().plugDisk(disks[1]);
                    await run(`udevadm settle; vgchange -q -ay -K ${group}`);
                };
            },
        },
        async leftovers() {
            const found = await run(`ls ${stateDirectory}/units 2>/dev/null
ls -d ${stateDirectory}/lvm.* 2>/dev/null
lvs --noheadings -o lv_name,lv_tags ${group} | grep -E 'phase:(creating|deleting|reverting)'
:`);
            return found === "" ? [] : found.split("\n");
        },
    };
}
