import { diskPath } from "../lab/layout.mjs";
import { CLEAN, labOfOne, POOLS } from "../lab/poolLab";
import type { Lab } from "../lab/lab.mjs";
import { type Client, POOL } from "../support/client";
import { LabMachine, wayTo } from "./labMachine";
import type { TcpProxy } from "./tcpProxy";
import type { Tormented } from "./world";

/** A storage host whose disks are not used yet: the pool itself is what is made, changed and deleted. */
export interface Pooling extends Tormented {
    /** Numbers of the disks that the group has. */
    members(): Promise<number[]>;
    /** When full, profile, monitoring of the thin pool. */
    rails(): Promise<string>;
    /** Somebody takes the guard rails away. */
    breakRails(): Promise<void>;
    /** Owner in the group's mark. */
    owner(): Promise<string>;
    /** Puts a file system on a disk. */
    carry(number: number, what: "ext4"): Promise<void>;
    /** An administrator makes the group with a thin pool, of disk 3. */
    theirs(): Promise<void>;
    fill(name: string, byte: number): Promise<void>;
    firstByte(name: string): Promise<number>;
}

const disk = (number: number) => diskPath("a", `disk${String(number)}`);

const { volumeGroup: GROUP, thinPool: THIN_POOL } = POOLS.fast;
const STATE = "/var/lib/blockhost";
const DISKS = [1, 2, 3, 4];

export async function poolWorld(): Promise<Pooling> {
    const { lab, stop } = await labOfOne();
    const world = new PoolHost(lab.host("a"), await wayTo(lab.host("a")), stop);
    await world.sh(CLEAN);
    return world;
}

class PoolHost extends LabMachine implements Pooling {
    readonly title = "pools";

    constructor(
        machine: ReturnType<Lab["host"]>,
        proxy: TcpProxy,
        private readonly stopLab: () => Promise<void>,
    ) {
        super(machine, proxy);
    }

    configuration(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
        return {
            ...this.machine.configuration(),
            port: this.proxy.port,
            pools: { [POOL]: POOLS.fast },
            ...more,
        };
    }

    async stop(): Promise<void> {
        await this.proxy.close();
        await this.stopLab();
    }

    async reset(): Promise<void> {
        await this.startAgain();
        await this.sh(`${CLEAN}\nsystemctl daemon-reload; ${FLUSH}`);
    }

    async warmUp(client: Client): Promise<void> {
        await client.delete(await client.pool({ disks: [disk(1)] }));
    }

    async discard(): Promise<void> {
        await this.sh(`vgremove -q -f -y ${GROUP} && pvremove -q ${disk(3)}; ${FLUSH}`);
    }

    async members(): Promise<number[]> {
        const found = await this.sh(
            DISKS.map(
                (n) =>
                    `[ "$(pvs --noheadings -o vg_name ${disk(n)} 2>/dev/null | tr -d ' ')" != ${GROUP} ] || echo ${String(n)}`,
            ).join("\n"),
        );
        return found.split("\n").flatMap((line) => (line === "" ? [] : [Number(line)]));
    }

    async rails(): Promise<string> {
        const fields = "lv_when_full,lv_profile,seg_monitor";
        const lv = `${GROUP}/${THIN_POOL}`;
        return (await this.sh(`lvs --noheadings --separator , -o ${fields} ${lv} | tr -d ' '`)).trim();
    }

    async breakRails(): Promise<void> {
        const lv = `${GROUP}/${THIN_POOL}`;
        await this.sh(`rm -f /etc/lvm/profile/blockhost-*
lvchange -q --detachprofile ${lv}; lvchange -q --errorwhenfull n ${lv}; lvchange -q --monitor n ${lv}; ${FLUSH}`);
    }

    async owner(): Promise<string> {
        const tags = await this.sh(`vgs --noheadings -o vg_tags ${GROUP}`);
        return /owner:([^&]*)/.exec(tags)?.[1] ?? "";
    }

    async carry(number: number, what: "ext4"): Promise<void> {
        await this.sh(`mkfs.${what} -q ${disk(number)}; ${FLUSH}`);
    }

    async theirs(): Promise<void> {
        await this.sh(`vgcreate -q ${GROUP} ${disk(3)}
lvcreate -q -T -L 256m -n ${THIN_POOL} ${GROUP} 2>/dev/null
${FLUSH}`);
    }

    async fill(name: string, byte: number): Promise<void> {
        await this.sh(`head -c 4096 /dev/zero | tr '\\000' '\\${byte.toString(8).padStart(3, "0")}' |
dd of=/dev/${GROUP}/${name} bs=4096 iflag=fullblock conv=notrunc,fsync status=none`);
    }

    async firstByte(name: string): Promise<number> {
        const read = `vgchange -q -ay ${GROUP} >/dev/null; udevadm settle
dd if=/dev/${GROUP}/${name} bs=4096 count=1 iflag=direct status=none | od -An -tu1 -N1`;
        return Number(await this.sh(read));
    }

    /** What disks carry and belong to, groups with their marks, volumes, profiles, units, files, held locks, runs. */
    async inventory(): Promise<string[]> {
        const disks = DISKS.map((n) => {
            return `echo "disk ${String(n)} $(wipefs -n -i -O TYPE ${disk(n)} | tr '\\n' ' ') $(pvs --noheadings -o vg_name,pv_allocatable ${disk(n)} 2>/dev/null)"`;
        });
        const lines = await this.left(
            STATE,
            `${disks.join("\n")}
vgs --noheadings -o vg_name,vg_tags | sed 's/^/vg /'
lvs -a --noheadings -o lv_name,lv_size,lv_active,lv_when_full,lv_profile,seg_monitor | sed 's/^/lv /'
dmsetup info -c --noheadings -o name,suspended | sed 's/^/dm /'
ls /etc/lvm/profile | grep blockhost- | sed 's/^/profile /'`,
        );
        return lines.sort();
    }
}

/** What was done by hand is to be there after a power cut. */
const FLUSH = `sync ${DISKS.map(disk).join(" ")}; sync`;
