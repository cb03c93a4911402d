import { connectNvme } from "../lab/support/nvmeInitiator";
import type { Lab } from "../lab/lab.mjs";
import { keysOf, nqnOf } from "./access";
import { iscsiInitiator } from "./iscsiInitiator";
import { StorageHost, storageParts, type StorageParts, type StoreKind } from "./storageWorld";
import type { World } from "./world";

/** Storage hosts of the lab that export volumes by the kernel's targets. */

/** LIO; QEMU and libiscsi on this machine are the initiators. */
export async function lioWorld(kind: StoreKind): Promise<World> {
    const parts = await storageParts(kind);
    const host = parts[0].host("a");
    const { stdout } = await host.run("ip -o -4 addr show dev eth0");
    const address = /inet ([0-9.]+)\//.exec(stdout)?.[1] ?? "";
    const outside = new Map<string, string>();
    for (const port of [3260, 3261]) {
        const here = port === 3260 ? host.portTo(port) : await host.forward(port);
        outside.set(`${address}:${String(port)}`, `127.0.0.1:${String(here)}`);
    }
    return KernelHost.start(
        {
            title: "LIO",
            protocol: "iscsi",
            target: { helper: "lio", portals: [...outside.keys()] },
            modules: "iscsi_target_mod target_core_iblock target_core_file",
            root: "/sys/kernel/config/target",
            targets: "iscsi/iqn*",
            drop: (name) => `cd iscsi/${name} && printf 0 > tpgt_1/enable &&
rm tpgt_1/acls/*/lun_*/blockhost tpgt_1/lun/lun_0/blockhost &&
rmdir tpgt_1/acls/*/lun_* tpgt_1/acls/* tpgt_1/lun/lun_0 tpgt_1/np/* tpgt_1 && cd .. && rmdir ${name}`,
            skip: ["*statistics", "alua", "pr"],
            skipFiles: ["info", "wwn", "hba_info"],
            bare: /^target (?:core|iscsi|iscsi\/(?:discovery_auth|lio_version).*)$/,
            initiator: iscsiInitiator((portal) => outside.get(portal) ?? portal),
        },
        ...parts,
    );
}

/** nvmet; the kernel of another host is the initiator. */
export async function nvmetWorld(kind: StoreKind): Promise<World> {
    const parts = await storageParts(kind, ["c"]);
    const [lab] = parts;
    const address = lab.host("a").addresses.ipv4[0] ?? "";
    return KernelHost.start(
        {
            title: "nvmet",
            protocol: "nvme-tcp",
            target: { helper: "nvmet", portals: [`${address}:4420`, `${address}:4421`] },
            modules: "nvmet-tcp",
            root: "/sys/kernel/config/nvmet",
            targets: "subsystems/nqn*",
            drop: (name) => `n=subsystems/${name}
rm ports/*/subsystems/${name} $n/allowed_hosts/* && printf 0 > $n/namespaces/1/enable && rmdir $n/namespaces/1 $n`,
            skip: [],
            skipFiles: [],
            bare: /^target \.(?:\/(?:hosts|ports|subsystems|discovery_nqn:.*))?$/,
            initiator: nvmeInitiator(lab.host("c")),
        },
        ...parts,
    );
}

function nvmeInitiator(client: ReturnType<Lab["host"]>): Kind["initiator"] {
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
interface Kind {
    readonly title: string;
    readonly protocol: "iscsi" | "nvme-tcp";
    readonly target: Readonly<Record<string, unknown>>;
    readonly modules: string;
    readonly root: string;
    /** Shell pattern of targets, below the root. */
    readonly targets: string;
    /** Shell text that takes one away, run in the root. */
    readonly drop: (name: string) => string;
    /** Names of directories and of attributes that are the kernel's own business. */
    readonly skip: readonly string[];
    readonly skipFiles: readonly string[];
    /** What is there as soon as the modules are loaded. */
    readonly bare: RegExp;
    readonly initiator: Pick<World, "portals" | "login" | "capacity" | "readThrough">;
}

class KernelHost extends StorageHost {
    override readonly exports = true;
    override readonly closesPortals = true;
    override readonly title: string;

    private constructor(
        private readonly target: Kind,
        ...parts: StorageParts
    ) {
        super(...parts);
        this.title = `${this.store.title}; ${target.title}`;
    }

    static async start(kind: Kind, ...parts: StorageParts): Promise<World> {
        // Emulated, beside others, that can take longer than a plan may; and each boot loads them, as exports do.
        await parts[0].host("a").run(`modprobe -a ${kind.modules}`);
        return new KernelHost(kind, ...parts);
    }

    override configuration(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
        return super.configuration({ targets: { [this.target.protocol]: this.target.target }, ...more });
    }

    /** What boots with exports holds their volumes: they go, with what makes them, and it boots once more. */
    override async reset(): Promise<void> {
        await this.powerOff();
        await this.powerOn();
        await this
            .sh(`systemctl disable -q $(cd /etc/systemd/system && ls -d blockhost-exports* 2>/dev/null) 2>/dev/null
rm -rf /etc/systemd/system/blockhost-exports* /etc/systemd/system/blockhost-shutdown* ${this.store.stateDirectory}; sync`);
        await super.reset();
    }

    override portals(...args: Parameters<World["portals"]>): readonly string[] {
        return this.target.initiator.portals(...args);
    }
    override login(...args: Parameters<World["login"]>): Promise<string> {
        return this.target.initiator.login(...args);
    }
    override capacity(...args: Parameters<World["capacity"]>): Promise<number> {
        return this.target.initiator.capacity(...args);
    }
    override readThrough(...args: Parameters<World["readThrough"]>): Promise<Buffer> {
        return this.target.initiator.readThrough(...args);
    }

    private inRoot(script: string): Promise<string> {
        return this.sh(`cd ${this.target.root} 2>/dev/null || exit 0\n${script}`);
    }

    override async targets(): Promise<string[]> {
        const shown = await this.inRoot(
            `for t in ${this.target.targets}; do [ ! -d "$t" ] || echo "\${t##*/}"; done`,
        );
        return shown.split("\n").filter((line) => line !== "");
    }

    override async dropTarget(targetName: string): Promise<void> {
        await this.inRoot(this.target.drop(targetName));
    }

    override exportOwner(name: string): Promise<string> {
        const { stateDirectory } = this.store;
        return this.sh(`sed -n 's/^#bh mark //p' ${stateDirectory}/exports/${this.target.protocol}/${name}`);
    }

    /** With all that configfs has of the target, secrets included, and what boot files say. */
    override async inventory(): Promise<string[]> {
        const { protocol, root, skip, skipFiles, bare } = this.target;
        const directories = root.endsWith("/target") ? "core iscsi" : ".";
        const prune = ["''", ...skip.map((name) => `'${name}'`)].map((name) => `-name ${name}`).join(" -o ");
        const excludes = [
            ...skip.map((name) => `--exclude-dir='${name}'`),
            ...skipFiles.flatMap((name) => [`--exclude=${name}`, `--exclude-dir=${name}`]),
        ].join(" ");
        const text = await this.sh(`
cd ${this.store.stateDirectory}/exports/${protocol} 2>/dev/null && for boot in *; do
    [ -e "$boot" ] && sed -n "/^#bh \\(mark\\|applied\\|size\\|activate\\|device\\|secrets\\)/s|^|$boot |p" "$boot"
done
cd ${root} 2>/dev/null || exit 0
find ${directories} \\( ${prune} \\) -prune -o -type l -printf 'target %p -> %l\\n' -o -type d -printf 'target %p\\n'
grep -rsa ${excludes} . ${directories} | tr -d '\\000' | sed 's/^/target /'`);
        const lines = text.split("\n").filter((line) => line !== "" && !bare.test(line));
        return [...(await super.inventory()), ...lines.map(withoutIdentity)].sort();
    }
}

/** What is new with each making of an export. */
function withoutIdentity(line: string): string {
    return line
        .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, "UUID")
        .replace(/\b[0-9a-f]{16}\b/g, "GENERATION")
        .replace(/(:[A-Za-z0-9._-]+):[0-9a-f]{8}\b/g, "$1:GENERATION")
        .replace(/((?:iblock|fileio)_)\d+\/([^/]+)\.[0-9a-f]{8}\b/g, "$1N/$2.GENERATION")
        .replace(/((?:iblock|fileio)_)\d+/g, "$1N");
}
