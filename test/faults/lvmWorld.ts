import { quote } from "../../provider/sh";
import { startLab } from "../lab/lab.mjs";
import type { HostName } from "../lab/layout.mjs";
import { type LvmBackend, lvmBackend } from "../lab/lvmBackend";
import { POOL } from "../support/client";
import { type TcpProxy, tcpProxy } from "./tcpProxy";
import type { World } from "./world";

const TITLE = { thin: "LVM, thin", thick: "LVM, thick" };

/** Where points halt; it outlives power cuts, as the wrappers in it have to. */
const HALTS = "/var/lib/lab-halts";

/** A storage host of the lab, with LVM on disks of its own. What is not flushed when its power fails is lost. */
export async function lvmWorld(kind: "thin" | "thick"): Promise<World> {
    return new LvmHost(kind, ...(await lvmHost(kind)));
}

/** Starts the host, others beside it, and a way to it that can be cut. */
export async function lvmHost(
    kind: "thin" | "thick",
    others: readonly HostName[] = [],
): Promise<[LvmBackend, TcpProxy]> {
    const backend = lvmBackend(kind, () => startLab({ hosts: ["a", ...others] }));
    await backend.start();
    const proxy = await tcpProxy(() => backend.host.port);
    await backend.run(`mkdir -p ${HALTS}; sync`);
    return [backend, proxy];
}

export class LvmHost implements World {
    readonly title: string;
    readonly haltDirectory = HALTS;
    readonly exports: boolean = false;
    readonly grain: number;

    constructor(
        private readonly kind: "thin" | "thick",
        protected readonly backend: LvmBackend,
        private readonly proxy: TcpProxy,
    ) {
        this.title = TITLE[kind];
        this.grain = backend.grain;
    }

    configuration(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
        const { host, options, stateDirectory } = this.backend;
        return {
            ...host.configuration(),
            port: this.proxy.port,
            stateDirectory,
            pools: { [POOL]: options },
            ...more,
        };
    }

    async sh(script: string): Promise<string> {
        return (await this.backend.host.run(`export LVM_SUPPRESS_FD_WARNINGS=1\n${script}`)).stdout;
    }

    async stop(): Promise<void> {
        await this.proxy.close();
        await this.backend.stop();
    }

    async reset(): Promise<void> {
        await this.powerOff();
        await this.powerOn();
        await this.sh(`rm -rf ${HALTS}/zz*`);
        await this.backend.prepare();
    }

    private lv(name: string): string {
        return `${this.backend.group}/${name}`;
    }

    /** What stopped half-way may have been left inactive; it is looked at all the same, as after a boot. */
    private onDevice(name: string, script: string): Promise<string> {
        const lv = quote(this.lv(name));
        return this.sh(`set -e
down=
[ -b /dev/${lv} ] || { lvchange -q -ay -K ${lv}; down=yes; udevadm settle; }
cd /dev; ${script} ${lv}
[ -z "$down" ] || lvchange -q -an ${lv}`);
    }

    async exists(name: string): Promise<boolean> {
        return (await this.sh(`lvs --noheadings ${quote(this.lv(name))} 2>/dev/null | wc -l`)).trim() === "1";
    }

    async objects(): Promise<string[]> {
        const { group } = this.backend;
        const names = await this.sh(
            `lvs --noheadings -o lv_attr,lv_name ${group} | awk '!/^ *t/ { print $2 }'`,
        );
        return names.split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
    }

    async size(name: string): Promise<number> {
        return Number(await this.onDevice(name, "blockdev --getsize64"));
    }

    fill(name: string, byte: number, bytes = 4096): Promise<void> {
        return this.backend.fill(name, byte, bytes);
    }

    async firstByte(name: string): Promise<number> {
        return Number(await this.onDevice(name, "od -An -tu1 -N1"));
    }

    digest(name: string): Promise<string> {
        return this.onDevice(name, "sha256sum <");
    }

    async ownerOf(name: string): Promise<string> {
        const tags = await this.sh(`lvs --noheadings -o lv_tags ${quote(this.lv(name))}`);
        return /owner:([^&]*)/.exec(tags)?.[1] ?? "";
    }

    async somebodysData(name: string, byte: number, bytes: number, of?: string): Promise<string> {
        const { backend, kind } = this;
        const { group } = backend;
        if (of !== undefined) {
            await this.fill(of, byte, bytes);
            const size = kind === "thin" ? "-kn" : `-L ${String(bytes)}b`;
            await this.sh(`lvcreate -q -s ${size} -n ${name} ${group}/${of}`);
        } else {
            await this.sh(
                kind === "thin"
                    ? `lvcreate -q --type thin -V ${String(bytes)}b --thinpool pool0 -n ${name} ${group}`
                    : `lvcreate -q -y -Wy -L ${String(bytes)}b -n ${name} ${group}`,
            );
            await this.fill(name, byte);
        }
        return name;
    }

    async discard(name: string): Promise<void> {
        await this.sh(`lvremove -q -y ${quote(this.lv(name))}`);
    }

    portals(..._: Parameters<World["portals"]>): readonly string[] {
        return noExports();
    }
    login(..._: Parameters<World["login"]>): Promise<string> {
        return noExports();
    }
    capacity(..._: Parameters<World["capacity"]>): Promise<number> {
        return noExports();
    }
    readThrough(..._: Parameters<World["readThrough"]>): Promise<Buffer> {
        return noExports();
    }
    targets(): Promise<string[]> {
        return Promise.resolve([]);
    }
    dropTarget(..._: Parameters<World["dropTarget"]>): Promise<void> {
        return noExports();
    }
    exportOwner(..._: Parameters<World["exportOwner"]>): Promise<string> {
        return noExports();
    }

    /**
     * Logical volumes with their tags, also hidden ones; devices, suspended or not; units; files; held locks; runs. What
     * runs at boot has run where the power failed, and is only installed elsewhere: either is well.
     */
    async inventory(): Promise<string[]> {
        const { group, stateDirectory } = this.backend;
        const text = await this.sh(`
lvs -a --noheadings --units b --nosuffix -o lv_name,lv_size,origin,pool_lv,lv_active,lv_merging,lv_tags ${group} | sed 's/^/lv /'
vgs --noheadings -o vg_tags ${group} | sed 's/^/vg /'
dmsetup info -c --noheadings -o name,suspended | sed 's/^/dm /'
systemctl list-units --all --plain --no-legend 'blockhost-*' |
    sed 's/^/unit /; /^unit blockhost-\\(exports\\|attachments\\)/s/ loaded \\(active exited\\|inactive dead\\) / loaded /'
if cd ${stateDirectory} 2>/dev/null; then
    find . -mindepth 1 ! -type d -printf 'state %p %y %m\\n'
    flock -n -s lock true || echo 'state lock is held'
fi
${PROCESSES}
for p in $others; do echo 'processes are left'; break; done`);
        return text
            .split("\n")
            .map((line) => line.trim().replace(/ +/g, " "))
            .filter((line) => line !== "")
            .map((line) => line.replace(/\b[0-9a-f]{16}\b/g, "GENERATION"))
            .sort();
    }

    /** The shells that scripts run in and all that belongs to their sessions; not what has made a session of its own. */
    async killShells(): Promise<void> {
        await this.sh(`${PROCESSES}\nfor p in $inside; do kill -KILL $p 2>/dev/null; done; :`);
    }

    cutConnections(): Promise<void> {
        this.proxy.cut();
        return Promise.resolve();
    }

    cutAfter(bytes: number): void {
        // Encrypted it is more, so a little less of it gets there.
        this.proxy.cutAfter(bytes);
    }

    async powerOff(): Promise<void> {
        await this.backend.host.powerOff();
        this.proxy.cut();
    }

    async powerOn(): Promise<void> {
        await this.backend.host.powerOn();
    }

    killDaemon(): Promise<void> {
        return noExports();
    }
    startDaemon(): Promise<void> {
        return noExports();
    }

    async fillUp(): Promise<() => Promise<void>> {
        const { group } = this.backend;
        await this.sh(`lvcreate -q -y -an -Wn -Zn -l 100%FREE -n hog ${group}`);
        return async () => {
            await this.sh(`lvremove -q -y ${group}/hog`);
        };
    }

    async sees(path: string): Promise<boolean> {
        // Waits there for a while: asking all the time would take the host's only processor from what is waited for.
        const found = await this.sh(
            `for i in 1 2 3; do [ ! -e ${quote(path)} ] || { echo yes; break; }; sleep 0.1; done`,
        );
        return found !== "";
    }
}

/**
 * Sets `inside` to the processes of the sessions that scripts run in (made by `setsid` in the channel of a connection),
 * and `others` to what else has come from a connection. Without sshd, the channels, and who asks.
 */
const PROCESSES = String.raw`
eval "$(ps -eo pid=,ppid=,sid=,comm=,cgroup= | awk -v own="$(ps -o sid= -p $$ | tr -d ' ')" '
    $5 !~ /ssh\.service/ || $3 == own { if ($4 == "sshd") daemon[$1] = 1; next }
    $4 == "sshd" { daemon[$1] = 1; next }
    { parent[$1] = $2; session[$1] = $3 }
    END {
        for (p in parent) if (parent[p] in daemon) channel[p] = 1
        for (p in parent) if (parent[p] in channel && session[p] == p) shell[p] = 1
        for (p in parent) if (session[p] in shell) inside = inside " " p; else if (!(p in channel)) others = others " " p
        print "inside=\"" inside "\" others=\"" others "\""
    }')"`;

function noExports(): never {
    throw new Error("this world has no targets");
}
