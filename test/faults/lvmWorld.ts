import { quote } from "../../provider/sh";
import { startLab } from "../lab/lab.mjs";
import type { HostName } from "../lab/layout.mjs";
import { type LvmBackend, lvmBackend } from "../lab/lvmBackend";
import { type Client, POOL } from "../support/client";
import { LabMachine, wayTo } from "./labMachine";
import type { TcpProxy } from "./tcpProxy";
import { firstVolume, type World } from "./world";

const TITLE = { thin: "LVM, thin", thick: "LVM, thick" };

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
    return [backend, await wayTo(backend.host)];
}

export class LvmHost extends LabMachine implements World {
    readonly title: string;
    readonly exports: boolean = false;
    readonly grain: number;

    constructor(
        private readonly kind: "thin" | "thick",
        protected readonly backend: LvmBackend,
        proxy: TcpProxy,
    ) {
        super(backend.host, proxy);
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

    async stop(): Promise<void> {
        await this.proxy.close();
        await this.backend.stop();
    }

    async reset(): Promise<void> {
        await this.startAgain();
        await this.backend.prepare();
    }

    warmUp(client: Client): Promise<void> {
        return firstVolume(client, this.exports);
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

    /** Logical volumes with their tags, also hidden ones; devices, suspended or not; units; files; held locks; runs. */
    async inventory(): Promise<string[]> {
        const { group, stateDirectory } = this.backend;
        const lines = await this.left(
            stateDirectory,
            `
lvs -a --noheadings --units b --nosuffix -o lv_name,lv_size,origin,pool_lv,lv_active,lv_merging,lv_tags ${group} | sed 's/^/lv /'
vgs --noheadings -o vg_tags ${group} | sed 's/^/vg /'
dmsetup info -c --noheadings -o name,suspended | sed 's/^/dm /'`,
        );
        return lines.sort();
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
}

function noExports(): never {
    throw new Error("this world has no targets");
}
