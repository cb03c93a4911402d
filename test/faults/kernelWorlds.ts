import { connectNvme } from "../lab/support/nvmeInitiator";
import type { Lab } from "../lab/lab.mjs";
import { keysOf, nqnOf } from "./access";
import { type Exporter, ExportHost, iscsiOutside } from "./exportWorld";
import { storageParts, type StorageParts, type StoreKind } from "./storageWorld";
import type { World } from "./world";

/** Storage hosts of the lab that export volumes by the kernel's targets. */

/** LIO; QEMU and libiscsi on this machine are the initiators. */
export async function lioWorld(kind: StoreKind): Promise<World> {
    const parts = await storageParts(kind);
    const { portals, initiator } = await iscsiOutside(parts[0].host("a"));
    return kernelHost(
        {
            title: "LIO",
            protocol: "iscsi",
            target: { helper: "lio", portals },
            modules: "iscsi_target_mod target_core_iblock target_core_file",
            root: "/sys/kernel/config/target",
            directories: "core iscsi",
            names: "iscsi/iqn*",
            drop: (name) => `cd iscsi/${name} && printf 0 > tpgt_1/enable &&
rm tpgt_1/acls/*/lun_*/blockhost tpgt_1/lun/lun_0/blockhost &&
rmdir tpgt_1/acls/*/lun_* tpgt_1/acls/* tpgt_1/lun/lun_0 tpgt_1/np/* tpgt_1 && cd .. && rmdir ${name}`,
            skip: ["*statistics", "alua", "pr"],
            skipFiles: ["info", "wwn", "hba_info"],
            bare: /^target (?:core|iscsi|iscsi\/(?:discovery_auth|lio_version|cpus_allowed_list).*)$/,
            initiator,
        },
        parts,
    );
}

/** nvmet; the kernel of another host is the initiator. */
export async function nvmetWorld(kind: StoreKind): Promise<World> {
    const parts = await storageParts(kind, ["c"]);
    const [lab] = parts;
    const address = lab.host("a").addresses.ipv4[0] ?? "";
    return kernelHost(
        {
            title: "nvmet",
            protocol: "nvme-tcp",
            target: { helper: "nvmet", portals: [`${address}:4420`, `${address}:4421`] },
            modules: "nvmet-tcp",
            root: "/sys/kernel/config/nvmet",
            directories: ".",
            names: "subsystems/nqn*",
            drop: (name) => `n=subsystems/${name}
rm ports/*/subsystems/${name} $n/allowed_hosts/* && printf 0 > $n/namespaces/1/enable && rmdir $n/namespaces/1 $n`,
            skip: [],
            skipFiles: [],
            bare: /^target \.(?:\/(?:hosts|ports|subsystems|discovery_nqn:.*))?$/,
            initiator: nvmeInitiator(lab.host("c")),
        },
        parts,
    );
}

function nvmeInitiator(client: ReturnType<Lab["host"]>): Exporter["initiator"] {
    type State = Parameters<World["login"]>[0];
    const portals = ({ connection }: State) =>
        (connection.data["portals"] as [string, string][]).map(([address, port]) => `${address}:${port}`);
    const connected = async <T>(
        state: State,
        who: Parameters<World["login"]>[1],
        work: (device: string) => Promise<T>,
        portal = portals(state)[0] ?? "",
    ): Promise<T> => {
        const { device, disconnect } = await connectNvme(client, {
            portal,
            subsystem: state.targetName,
            uuid: String(state.connection.data["vol_uuid"]),
            host: nqnOf(who),
            ...keysOf(who),
        });
        try {
            return await work(device);
        } finally {
            await disconnect();
        }
    };
    return {
        portals,
        login: (state, who, portal) =>
            connected(state, who, () => Promise.resolve(""), portal).catch((error: unknown) => String(error)),
        capacity: (state, who) =>
            connected(state, who, async (device) =>
                Number((await client.run(`blockdev --getsize64 ${device}`)).stdout),
            ),
        readThrough: (state, who, length) =>
            connected(state, who, async (device) => {
                const read = `dd if=${device} bs=4096 count=${String(Math.ceil(length / 4096))} iflag=direct status=none | base64`;
                return Buffer.from((await client.run(read)).stdout, "base64").subarray(0, length);
            }),
    };
}

/** A target of the kernel's, and how it looks in configfs. */
interface Kind extends Pick<Exporter, "title" | "protocol" | "target" | "bare" | "initiator"> {
    readonly modules: string;
    readonly root: string;
    /** What of it is looked at. */
    readonly directories: string;
    /** Shell pattern of targets. */
    readonly names: string;
    /** Shell text that takes one away, run in the root. */
    readonly drop: (name: string) => string;
    /** Names of directories and of attributes that are the kernel's own business. */
    readonly skip: readonly string[];
    readonly skipFiles: readonly string[];
}

async function kernelHost({ modules, ...kind }: Kind, parts: StorageParts): Promise<World> {
    const { root, directories, names, drop, skip, skipFiles } = kind;
    // Emulated, beside others, that can take longer than a plan may; and each boot loads them, as exports do.
    await parts[0].host("a").run(`modprobe -a ${modules}`);
    const inRoot = (script: string) => `cd ${root} 2>/dev/null || exit 0\n${script}`;
    const prune = ["''", ...skip.map((name) => `'${name}'`)].map((name) => `-name ${name}`).join(" -o ");
    const excludes = [
        ...skip.map((name) => `--exclude-dir='${name}'`),
        ...skipFiles.flatMap((name) => [`--exclude=${name}`, `--exclude-dir=${name}`]),
    ].join(" ");
    const exporter: Exporter = {
        ...kind,
        closesPortals: true,
        targets: inRoot(`for t in ${names}; do [ ! -d "$t" ] || echo "\${t##*/}"; done`),
        drop: (name) => inRoot(drop(name)),
        // All that configfs has of the target, secrets included.
        listing: inRoot(`
find ${directories} \\( ${prune} \\) -prune -o -type l -printf 'target %p -> %l\\n' -o -type d -printf 'target %p\\n'
grep -rsa ${excludes} . ${directories} | tr -d '\\000' | sed 's/^/target /'`),
        withoutIdentity: (line) =>
            line
                .replace(/((?:iblock|fileio)_)\d+\/([^/]+)\.[0-9a-f]{8}\b/g, "$1N/$2.GENERATION")
                .replace(/((?:iblock|fileio)_)\d+/g, "$1N"),
    };
    return new ExportHost(exporter, ...parts);
}
