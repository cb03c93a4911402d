import { existsSync } from "node:fs";
import type { Lab } from "./lab.mjs";
import { attachLab, startLab } from "./lab.mjs";
import { Hosts } from "../../provider/host/hosts";
import { poolInputs } from "../support/client";
import { pool, type PoolArgs, type PoolState } from "../../provider/resources/pool";
import type { Context } from "../../provider/resources/types";
import { volume, type VolumeArgs, type VolumeState } from "../../provider/resources/volume";
import type { createTransport } from "../../provider/transport";

/** What tests of pools on real hosts share. */

export const HOST = "san";
export const GiB = 1024 ** 3;

/** A lab of one host; `BLOCKHOST_LAB` names the directory of one that runs already. */
export async function labOfOne(): Promise<{ lab: Lab; stop: () => Promise<void> }> {
    const directory = process.env["BLOCKHOST_LAB"];
    if (directory !== undefined && existsSync(directory)) {
        const lab = attachLab(directory);
        return {
            lab,
            stop: () => {
                lab.disconnect();
                return Promise.resolve();
            },
        };
    }
    const lab = await startLab({ hosts: ["a"] });
    return { lab, stop: () => lab.stop() };
}

type LabHost = ReturnType<Lab["host"]>;

export const POOLS = {
    fast: { driver: "lvm", volumeGroup: "vgpool", thinPool: "pool0" },
    bulk: { driver: "lvm", volumeGroup: "vgbulk" },
} as const;

/** One process of the provider. */
export class PoolClient {
    readonly hosts: Hosts;
    readonly context: Context;
    readonly warnings: string[] = [];
    readonly progress: string[] = [];

    constructor(
        host: LabHost,
        private readonly options: {
            configuration?: Readonly<Record<string, unknown>>;
            transport?: typeof createTransport;
            stack?: string;
        } = {},
    ) {
        const configuration = host.configuration({ pools: POOLS, ...options.configuration });
        this.hosts = new Hosts({ [HOST]: configuration }, options.transport);
        this.context = {
            hosts: this.hosts,
            installation: "default",
            warn: (message) => this.warnings.push(message),
            progress: (message) => this.progress.push(message),
        };
    }

    owner(resource: string) {
        return { organization: "acme", project: "shop", stack: this.options.stack ?? "test", resource };
    }

    args(more: Partial<PoolArgs> = {}): PoolArgs {
        const name = more.name ?? "fast";
        return { host: HOST, name, owner: this.owner(name), ...more };
    }

    async make(more: Partial<PoolArgs>): Promise<PoolState> {
        const args = this.args(more);
        const { failures } = await pool.check(this.context, undefined, { ...args });
        if (failures.length > 0)
            throw new Error(failures.map(({ property, reason }) => `${property}: ${reason}`).join("\n"));
        return (await pool.create(this.context, args)).state;
    }

    /** As an update of the inputs named; what `diff` refuses is refused. */
    async change(olds: PoolState, more: Partial<PoolArgs>): Promise<PoolState> {
        const news = { ...poolInputs(olds), ...more };
        await pool.diff(this.context, olds, news);
        return pool.update(this.context, olds, news);
    }

    async read(state: PoolState): Promise<PoolState | undefined> {
        return (await pool.read(this.context, state))?.state;
    }

    delete(state: PoolState): Promise<void> {
        return pool.delete(this.context, state);
    }

    async volume(name: string, more: Partial<VolumeArgs> = {}): Promise<VolumeState> {
        const args = { host: HOST, pool: "fast", name, size: "64MiB", owner: this.owner(name), ...more };
        return (await volume.create(this.context, args)).state;
    }

    deleteVolume(state: VolumeState): Promise<void> {
        return volume.delete(this.context, state);
    }

    close(): Promise<void> {
        return this.hosts.close();
    }
}

/** Leaves the host's disks as new, whatever is on them. */
export const CLEAN = `
dmsetup remove taken 2>/dev/null
for m in $(awk '/ \\/mnt\\// { print $2 }' /proc/mounts); do umount "$m"; done
for u in /var/lib/blockhost/units/evacuate-*; do [ ! -d "$u" ] || systemctl stop "blockhost-\${u##*/}" 2>/dev/null; done
vgs --noheadings -o vg_name | while read -r g; do
    vgreduce --removemissing -f "$g"
    lvs -a --noheadings -o lv_name -S 'lv_name=~"^pvmove"' "$g" | grep -q . && pvmove --abort
    lvremove -f -y "$g"
    vgremove -f -y "$g"
done >/dev/null 2>&1
for d in /dev/disk/by-id/scsi-SQEMU_QEMU_HARDDISK_lab-a-disk[1-4]; do
    wipefs -q -a -f "$d"-part* "$d" 2>/dev/null
    dd if=/dev/zero of="$d" bs=1M count=4 status=none
done
rm -rf /var/lib/blockhost /etc/lvm/profile/blockhost-*
udevadm settle -t 10
:`;
