import { type ExportArgs, exportLifecycle, type ExportState } from "../../provider/resources/export";
import type { VolumeState } from "../../provider/resources/volume";
import { deriveDhchapKey } from "../../provider/targets/dhchap";
import type { ConnectionProperties, Protocol } from "../../provider/targets/types";
import { type Lab, startLab } from "../lab/lab.mjs";
import {
    Both,
    CHAP,
    CLEAR_CLIENT,
    CLIENT_IQN,
    CLIENT_NQN,
    KEYS,
    LEAVINGS,
    MUTUAL,
    SAN,
    prepareStorage,
} from "../lab/support/attachments";
import { type Client, exportInputs } from "../support/client";
import { GROWTH } from "./cases/attachments";
import { LabMachine, wayTo } from "./labMachine";
import type { Stop } from "./stops";
import type { TcpProxy } from "./tcpProxy";
import type { Tormented } from "./world";

/**
 * A client host to be tormented, on which exports of a storage host are attached. There is one export, which is attached
 * and detached in all trials; it is made and changed by a provider that nothing happens to.
 */
export interface Attaching extends Tormented {
    readonly storage: ReturnType<Lab["host"]>;
    /** Of the export, as it is now. */
    connection(): ConnectionProperties;
    /** Gives the export another password. */
    rotate(): Promise<ConnectionProperties>;
    /** Has the export reached on so many of the storage host's portals, or on all. */
    offer(portals?: number): Promise<ConnectionProperties>;
    /** From now on paths can be joined to one device; {@link Tormented.discard} ends that, and offers all portals again. */
    joinPaths(): Promise<void>;
    /** How many paths are joined, or are NVMe's, which the kernel joins by itself. */
    joined(): Promise<number>;
    /** Gives its volume {@link GROWTH} more. */
    grow(): Promise<void>;
    /** Ends all sessions behind everybody's back. */
    logOut(): Promise<void>;
    /** Sessions with targets, and devices. */
    sessions(): Promise<string>;
    /** Writes through a device, and gives what is found on the storage host. */
    readsBack(devicePath: string): Promise<string>;
    bytes(devicePath: string): Promise<number>;
    attachmentOwner(name: string): Promise<string>;
}

export async function attachmentWorld(protocol: Protocol): Promise<Attaching> {
    const lab = await startLab({ hosts: ["a", "c"] });
    await prepareStorage(lab.host("a"));
    const keeper = new Both(lab);
    const volume = await keeper.volume("lun");
    const exported = await keeper.export("lun", protocol);
    return new ClientHost(lab, await wayTo(lab.host("c")), { keeper, protocol, volume, exported });
}

interface Lun {
    readonly keeper: Both;
    readonly protocol: Protocol;
    volume: VolumeState;
    exported: ExportState;
}

class ClientHost extends LabMachine implements Attaching {
    readonly title: string;
    private passwords = 0;

    constructor(
        private readonly lab: Lab,
        proxy: TcpProxy,
        private readonly lun: Lun,
    ) {
        super(lab.host("c"), proxy);
        this.title = `attachments, ${lun.protocol === "iscsi" ? "iSCSI" : "NVMe/TCP"}`;
    }

    get storage() {
        return this.lab.host("a");
    }

    configuration(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
        return { ...this.machine.configuration(), port: this.proxy.port, ...more };
    }

    async stop(): Promise<void> {
        await this.lun.keeper.close();
        await this.proxy.close();
        await this.lab.stop();
    }

    async reset(): Promise<void> {
        if (!this.storage.isOn()) await this.storage.powerOn();
        await this.startAgain();
        await this.sh(`${ALONE}\n${CLEAR_CLIENT}
rm -f /etc/iscsi/.blockhost.new /etc/multipath/wwids; systemctl daemon-reload; sync`);
        await this.offer();
    }

    async warmUp(client: Client): Promise<void> {
        await client.delete(await client.attach("first", this.connection()));
    }

    /** What is there for cases of several paths. */
    async discard(): Promise<void> {
        if (this.lun.protocol === "iscsi") await this.sh(ALONE);
        await this.offer();
    }

    connection(): ConnectionProperties {
        return this.lun.exported.connection;
    }

    async rotate(): Promise<ConnectionProperties> {
        const { lun } = this;
        const text = `Rotated-${String(++this.passwords).padStart(5, "0")}`;
        const key = deriveDhchapKey(text.padEnd(40, "-"), "host");
        const initiators =
            lun.protocol === "iscsi"
                ? [{ iqn: CLIENT_IQN, chap: { ...CHAP, password: text }, mutualChap: MUTUAL }]
                : [{ nqn: CLIENT_NQN, dhchap: { ...KEYS, key } }];
        return this.change({ initiators });
    }

    async offer(portals?: number): Promise<ConnectionProperties> {
        const { keeper, protocol } = this.lun;
        const all = keeper.hosts.get(SAN).config.targets.get(protocol)?.ref.portals ?? [];
        return this.change({ portals: all.slice(0, portals), allow: ["session-drop"] });
    }

    private async change(more: Partial<ExportArgs>): Promise<ConnectionProperties> {
        const { lun } = this;
        // It is not told what happens to the storage host, or who logs in there.
        lun.keeper.hosts.get(SAN).forget();
        const news = { ...exportInputs(lun.exported), ...more };
        lun.exported = await exportLifecycle.update(lun.keeper.context, lun.exported, news);
        return this.connection();
    }

    async joinPaths(): Promise<void> {
        if (this.lun.protocol === "iscsi") await this.sh(JOIN);
    }

    async joined(): Promise<number> {
        return (await this.sh(JOINED)).split("\n").filter((line) => line !== "").length;
    }

    async grow(): Promise<void> {
        const { lun } = this;
        lun.volume = await lun.keeper.grow(lun.volume, String(lun.volume.sizeBytes + GROWTH));
    }

    async logOut(): Promise<void> {
        await this.sh(`iscsiadm -m session --logout >/dev/null 2>&1
for c in /sys/class/nvme/nvme*/delete_controller; do [ ! -e "$c" ] || echo 1 > "$c"; done
udevadm settle`);
    }

    sessions(): Promise<string> {
        return this.sh(`ls -d /sys/class/iscsi_session/session* /sys/class/nvme/nvme* 2>/dev/null
lsblk -dno NAME,TRAN | grep -e iscsi -e nvme
:`);
    }

    async readsBack(devicePath: string): Promise<string> {
        const { path } = this.lun.volume;
        // multipathd looks every few seconds whether paths that had failed (F) are back; until then nothing can be written.
        await this.sh(`n=0
while dmsetup status --target multipath | grep -q ' F ' && [ $n -lt 60 ]; do n=$((n + 1)); sleep 1; done
printf 'as written' | dd of=${devicePath} conv=fsync,notrunc status=none`);
        const read = `dd if=${path} bs=4096 count=1 iflag=direct status=none | head -c 10
dd if=/dev/zero of=${path} bs=4096 count=1 oflag=direct conv=notrunc status=none`;
        return (await this.storage.run(read)).stdout;
    }

    async bytes(devicePath: string): Promise<number> {
        return Number(await this.sh(`blockdev --getsize64 ${devicePath}`));
    }

    attachmentOwner(name: string): Promise<string> {
        return this.sh(`cat /var/lib/blockhost/*/*${name}* 2>/dev/null | grep owner:`);
    }

    /**
     * Sessions, devices and their paths, what open-iscsi has on file with what it says of credentials, what multipath
     * remembers, units, files, held locks, runs.
     */
    async inventory(): Promise<string[]> {
        const lines = await this.left(
            "/var/lib/blockhost",
            `{ ${LEAVINGS}
}
grep -rs 'auth\\|startup' /etc/iscsi/nodes
find /etc/iscsi /var/lib/iscsi -mindepth 1 -printf 'iscsi %p\\n' 2>/dev/null
${REMEMBERED}
${JOINED}`,
        );
        return lines
            .map((line) =>
                line
                    .replace(/\b(session|nvme|sd|dm-)(?:\d+|[a-z])(n\d+)?\b/g, "$1N$2")
                    .replace(/\(\d+[:,] ?\d+\)/, "(DEVICE)")
                    .replace(/Rotated-\d+/g, "PASSWORD")
                    .replace(/DHHC-1:\S+/g, "KEY"),
            )
            .sort();
    }
}

/** Also after the power has failed. */
const JOIN = `systemctl unmask -q multipathd.service multipathd.socket &&
systemctl enable -q --now multipathd.service && sync`;
const ALONE = `systemctl disable -q --now multipathd.socket multipathd.service 2>/dev/null
sync`;
/** A path that is gone stays in the device's table until multipathd hears of it. */
const JOINED = `for s in /sys/block/dm-*/slaves/*; do [ ! -e "$s" ] || echo "$s"; done
grep -lsx live /sys/class/nvme/nvme*/state
:`;

/** What multipath remembers of disks that are gone. It need not have on its disk, when the power fails, what it has. */
const REMEMBERED = `grep -sv '^#' /etc/multipath/wwids | tr -d / | while read -r wwid; do
    dmsetup info -c --noheadings -o uuid 2>/dev/null | grep -qxF "mpath-$wwid" || echo "remembered $wwid"
done`;

const NETWORKS = ["storage", "storage2"] as const;

/** What happens to the storage host meanwhile. The client's process lives on, and is told. */
export const STORAGE_STOPS: readonly Stop<Attaching>[] = [
    {
        title: "the storage host's power fails",
        where: "between",
        basic: true,
        elsewhere: true,
        lives: true,
        strike: async ({ world }) => {
            await world.storage.powerOff();
        },
        afterwards: async ({ world }) => {
            await world.storage.powerOn();
        },
    },
    {
        title: "the storage host loses its network",
        where: "between",
        basic: true,
        elsewhere: true,
        lives: true,
        strike: async ({ world }) => {
            for (const network of NETWORKS) await world.storage.cutLink(network);
        },
        afterwards: async ({ world }) => {
            for (const network of NETWORKS) await world.storage.restoreLink(network);
        },
    },
];
