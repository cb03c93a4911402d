import { existsSync } from "node:fs";
import { Hosts } from "../../../provider/host/hosts";
import {
    attachment,
    type AttachmentArgs,
    type AttachmentState,
} from "../../../provider/resources/attachment";
import { exportLifecycle, type ExportArgs, type ExportState } from "../../../provider/resources/export";
import type { Context } from "../../../provider/resources/types";
import { volume, type VolumeArgs, type VolumeState } from "../../../provider/resources/volume";
import { deriveDhchapKey } from "../../../provider/targets/dhchap";
import type { createTransport } from "../../../provider/transport";
import { attachmentInputs } from "../../support/client";
import { attachLab, type Lab, startLab } from "../lab.mjs";

/** A storage host, `san` (a), and a client of it, `db` (c). */

export const SAN = "san";
export const DB = "db";
export const CLIENT_IQN = "iqn.2024-01.org.blockhost.lab:c";
export const CLIENT_NQN = "nqn.2014-08.org.nvmexpress:uuid:6c616200-0000-4000-8000-000000000003";
export const CHAP = { username: "db1", password: "Open-Sesame-123" };
export const MUTUAL = { username: "san1", password: "I-am-the-target" };
const key = (purpose: string) => deriveDhchapKey("a secret of more than thirty-two bytes", purpose);
export const KEYS = { key: key("host"), controllerKey: key("controller") };

type LabHost = ReturnType<Lab["host"]>;

/** `BLOCKHOST_LAB` names the directory of a lab with a and c that runs already. */
export async function labOfTwo(): Promise<{ lab: Lab; stop: () => Promise<void> }> {
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
    const lab = await startLab({ hosts: ["a", "c"] });
    return { lab, stop: () => lab.stop() };
}

/** Makes the volume group that volumes live in, once. */
export async function prepareStorage(a: LabHost): Promise<void> {
    const disk = a.diskPath("disk1");
    await a.run(`vgs bhattach >/dev/null 2>&1 || { wipefs -q -a ${disk} && vgcreate -q bhattach ${disk} &&
lvcreate -q -y --type thin-pool -L 3g --poolmetadatasize 32m -n pool bhattach; } 2>/dev/null`);
}

export function configurations(
    lab: Lab,
    portals = (port: number) => lab.host("a").portals(port),
): Record<string, unknown> {
    const [a, c] = [lab.host("a"), lab.host("c")];
    return {
        [SAN]: a.configuration({
            connectTimeout: 60_000,
            pools: { fast: { driver: "lvm", volumeGroup: "bhattach", thinPool: "pool" } },
            targets: {
                iscsi: { helper: "lio", portals: portals(3260) },
                "nvme-tcp": { helper: "nvmet", portals: portals(4420) },
            },
        }),
        [DB]: c.configuration({ connectTimeout: 60_000 }),
    };
}

/** One process of the provider. */
export class Both {
    readonly hosts: Hosts;
    readonly context: Context;
    readonly warnings: string[] = [];

    constructor(
        lab: Lab,
        options: {
            transport?: typeof createTransport;
            stack?: string;
            portals?: (port: number) => string[];
        } = {},
    ) {
        this.stack = options.stack ?? "test";
        this.hosts = new Hosts(configurations(lab, options.portals), options.transport);
        this.context = {
            hosts: this.hosts,
            installation: "default",
            warn: (message) => this.warnings.push(message),
            progress: () => undefined,
        };
    }
    private readonly stack: string;

    owner(resource: string) {
        return { organization: "acme", project: "shop", stack: this.stack, resource };
    }

    async volume(name: string, size = "64MiB"): Promise<VolumeState> {
        const args: VolumeArgs = { host: SAN, pool: "fast", name, size, owner: this.owner(name) };
        return (await volume.create(this.context, args)).state;
    }

    async grow(olds: VolumeState, size: string): Promise<VolumeState> {
        return volume.update(this.context, olds, { ...olds, size });
    }

    async export(
        name: string,
        protocol: "iscsi" | "nvme-tcp",
        more: Partial<ExportArgs> = {},
    ): Promise<ExportState> {
        const initiator =
            protocol === "iscsi"
                ? { iqn: CLIENT_IQN, chap: CHAP, mutualChap: MUTUAL }
                : { nqn: CLIENT_NQN, dhchap: KEYS };
        const args: ExportArgs = {
            host: SAN,
            source: `${SAN}/fast/${name}`,
            protocol,
            name,
            initiators: [initiator],
            owner: this.owner(name),
            ...more,
        };
        return (await exportLifecycle.create(this.context, args)).state;
    }

    args(name: string, exported: ExportState, more: Partial<AttachmentArgs> = {}): AttachmentArgs {
        return { host: DB, name, connection: exported.connection, owner: this.owner(name), ...more };
    }

    async attach(
        name: string,
        exported: ExportState,
        more: Partial<AttachmentArgs> = {},
    ): Promise<AttachmentState> {
        return (await attachment.create(this.context, this.args(name, exported, more))).state;
    }

    /** What `diff` refuses is refused. */
    async change(olds: AttachmentState, more: Partial<AttachmentArgs>): Promise<AttachmentState> {
        const news = { ...attachmentInputs(olds), ...more };
        await attachment.diff(this.context, olds, news);
        return attachment.update(this.context, olds, news);
    }

    async read(olds: AttachmentState): Promise<AttachmentState | undefined> {
        this.hosts.get(DB).forget();
        return (await attachment.read(this.context, olds))?.state;
    }

    detach(olds: AttachmentState): Promise<void> {
        return attachment.delete(this.context, olds);
    }

    async remove(...all: (VolumeState | ExportState)[]): Promise<void> {
        for (const one of all)
            await ("protocol" in one
                ? exportLifecycle.delete(this.context, one)
                : volume.delete(this.context, one));
    }

    close(): Promise<void> {
        return this.hosts.close();
    }
}

/** All that attachments leave on a client while they are there: nothing, when they are gone. */
export const LEAVINGS = `ls -d /sys/class/iscsi_session/session* /sys/class/nvme/nvme* /etc/iscsi/nodes/*/* \\
/var/lib/blockhost/attachments /var/lib/blockhost/boot-attachments /etc/systemd/system/blockhost-attachments.service \\
/etc/systemd/system/multi-user.target.wants/blockhost-attachments.service 2>/dev/null
dmsetup ls --target multipath | grep -v "No devices"
lsblk -dno NAME,TRAN | grep -e iscsi -e nvme
:`;

/** Takes away everything, whoever made it. */
export const CLEAR_CLIENT = `umount /mnt/* 2>/dev/null
multipath -F >/dev/null 2>&1
iscsiadm -m session --logout >/dev/null 2>&1
iscsiadm -m node -o delete >/dev/null 2>&1
for c in /sys/class/nvme/nvme*/delete_controller; do [ ! -e "$c" ] || echo 1 > "$c"; done
rm -rf /var/lib/blockhost /etc/systemd/system/blockhost-attachments.service /etc/systemd/system/*.wants/blockhost-attachments.service`;

/** The unit for exports stays installed, as if there were others: systemd takes most of the time of an export here. */
export const CLEAR_STORAGE = `targetcli clearconfig confirm=True >/dev/null 2>&1
cd /sys/kernel/config/nvmet 2>/dev/null && {
for l in ports/*/subsystems/* subsystems/*/allowed_hosts/*; do [ ! -L "$l" ] || rm "$l"; done
for e in subsystems/*/namespaces/*/enable; do [ ! -e "$e" ] || printf 0 > "$e"; done
for d in subsystems/*/namespaces/* subsystems/* hosts/* ports/*; do [ ! -d "$d" ] || rmdir "$d"; done; }
mkdir -p -m 0700 /var/lib/blockhost/exports/other
rm -rf /var/lib/blockhost/exports/iscsi /var/lib/blockhost/exports/nvme-tcp
echo : > /var/lib/blockhost/exports/other/one
lvs --noheadings -o lv_name,pool_lv bhattach 2>/dev/null | while read -r lv pool; do [ -z "$pool" ] || lvremove -q -f bhattach/$lv >/dev/null; done`;
