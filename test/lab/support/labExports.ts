import type { ExportBackend } from "../../contract/exports";
import { libiscsi } from "../../contract/support/libiscsi";
import type { Target } from "../../../provider/targets/types";
import { CLIENT, POOL } from "../../support/client";
import type { Lab } from "../lab.mjs";
import { iscsiInitiator, type KernelInitiator } from "./iscsiInitiator";
import { NVME_HOST, nvmeInitiator } from "./nvmeInitiator";

/** A storage host with a kernel's initiator. */
export type KernelBackend = Omit<ExportBackend, "attach"> & KernelInitiator;

/** Where volumes are. */
export const POOLS = {
    file: { driver: "file", directory: "/srv/exports", initialize: true },
    lvm: { driver: "lvm", volumeGroup: "bhexports", thinPool: "pool" },
} as const;

/** Takes all objects of LIO, nvmet and tgtd away, whoever made them. */
const CLEAR = `targetctl clear >/dev/null 2>&1
tgtadm --op show --mode target 2>/dev/null | sed -n 's/^Target \\([0-9]*\\):.*/\\1/p' |
while read -r t; do tgtadm --op delete --mode target --tid "$t" --force || exit; done
cd /sys/kernel/config/nvmet 2>/dev/null || exit 0
for l in ports/*/subsystems/* subsystems/*/allowed_hosts/*; do [ ! -L "$l" ] || rm "$l" || exit; done
for e in subsystems/*/namespaces/*/enable; do [ ! -e "$e" ] || printf 0 > "$e" || exit; done
for d in subsystems/*/namespaces/* subsystems/* hosts/* ports/*; do [ ! -d "$d" ] || rmdir "$d" || exit; done`;

async function prepare(lab: Lab, target: Target): Promise<void> {
    const a = lab.host("a");
    const disk = a.diskPath("disk2");
    // Emulated, beside others, that can take longer than a plan may.
    await a.run("modprobe -a iscsi_target_mod target_core_iblock target_core_file nvmet-tcp", {
        timeoutMs: 600_000,
    });
    await a.run(CLEAR);
    await a.run(`mkdir -p /srv/exports
vgs bhexports >/dev/null 2>&1 || { wipefs -q -a ${disk} && vgcreate -q bhexports ${disk} &&
lvcreate -q -y --type thin-pool -L 3g --poolmetadatasize 32m -n pool bhexports; } 2>/dev/null`);
    if (target.name === "tgt")
        await a.run("systemctl unmask -q tgt && systemctl -q enable --now tgt", { timeoutMs: 600_000 });
}

/** What is the same for all targets of host a. */
function common(lab: Lab, target: Target, pool: keyof typeof POOLS, portals: readonly string[]) {
    const a = lab.host("a");
    const stateDirectory = `/var/lib/blockhost-${target.name}-${pool}`;
    const { name: helper, protocol, capabilities, growth } = target;
    // What initiators wrote has not gone through the page cache of a block device.
    const flags = (path: string) => (path.startsWith("/dev/") ? "iflag=direct" : "");
    return {
        host: {
            configuration: (more: Readonly<Record<string, unknown>> = {}) =>
                a.configuration({
                    stateDirectory,
                    pools: { [POOL]: POOLS[pool] },
                    targets: { [protocol]: { helper, portals } },
                    ...more,
                }),
        },
        protocol,
        capabilities,
        growth,
        firstByte: async (path: string) => {
            const read = `dd if=${path} bs=4096 count=1 ${flags(path)} status=none | od -An -tu1 -N1`;
            return Number((await a.run(read)).stdout.trim());
        },
        fill: async (path: string, byte: number) => {
            const octal = `\\${byte.toString(8).padStart(3, "0")}`;
            await a.run(
                `head -c 4096 /dev/zero | tr '\\000' '${octal}' | dd of=${path} bs=4096 iflag=fullblock conv=notrunc,fsync status=none`,
            );
        },
        lose: async () => {
            await a.run(CLEAR);
        },
        stop: async () => {
            await lab.stop();
        },
    };
}

/** LIO or tgt on host a, libiscsi and QEMU on this machine. */
export async function iscsiExports(
    lab: Lab,
    target: Target,
    pool: keyof typeof POOLS,
): Promise<ExportBackend> {
    await prepare(lab, target);
    const { stdout } = await lab.host("a").run("ip -o -4 addr show dev eth0");
    const address = /inet ([0-9.]+)\//.exec(stdout)?.[1] ?? "";
    const here = `127.0.0.1:${String(lab.host("a").portTo(3260))}`;
    return {
        ...common(lab, target, pool, [`${address}:3260`]),
        ...libiscsi(() => here),
        initiator: CLIENT,
    };
}

/** LIO or tgt on host a, the kernel's iSCSI on host c. */
export async function iscsiToKernel(
    lab: Lab,
    target: Target,
    pool: keyof typeof POOLS,
): Promise<KernelBackend> {
    await prepare(lab, target);
    const address = lab.host("a").addresses.ipv4[0] ?? "";
    return {
        ...common(lab, target, pool, [`${address}:3260`]),
        ...iscsiInitiator(lab.host("c")),
        initiator: CLIENT,
    };
}

/** nvmet on host a, the kernel's NVMe/TCP on host c. */
export async function nvmetExports(
    lab: Lab,
    target: Target,
    pool: keyof typeof POOLS,
): Promise<KernelBackend> {
    await prepare(lab, target);
    const address = lab.host("a").addresses.ipv4[0] ?? "";
    return {
        ...common(lab, target, pool, [`${address}:4420`]),
        ...nvmeInitiator(lab.host("c")),
        initiator: NVME_HOST,
    };
}
