import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Filesystem, mountFilesystem } from "../../tools/embedded-host/filesystems.mjs";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { freePort } from "../../tools/embedded-host/ports.mjs";
import { quote } from "../../provider/sh";
import { POOL } from "../support/client";
import { iscsiInitiator } from "./iscsiInitiator";
import type { Client } from "../support/client";
import { tgtd, withoutIdentity } from "./tgtd";
import { firstVolume, type Volume, type World } from "./world";

const execute = promisify(execFile);

export type Flavour = "copies" | "reflinks" | "thick";

const KIND: Record<Flavour, { type: "tmpfs" | "xfs"; sizeMiB: number; title: string }> = {
    copies: { type: "tmpfs", sizeMiB: 320, title: "file (thin, byte by byte copies), tgt" },
    reflinks: { type: "xfs", sizeMiB: 400, title: "file (thin, shared extents), tgt" },
    thick: { type: "tmpfs", sizeMiB: 320, title: "file (thick), tgt" },
};

/** The embedded storage host: file driver and tgt on this machine, pool and state directory on file systems of their own. */
export async function embeddedWorld(flavour: Flavour): Promise<World> {
    const { title, ...kind } = KIND[flavour];
    const pool = await mountFilesystem(kind);
    const state = await mountFilesystem({ type: "tmpfs", sizeMiB: 16 });
    const directory = join(pool.directory, "pool");
    mkdirSync(directory);
    const host = await startEmbeddedHost({ poolDirectories: { [POOL]: directory } });
    return new Embedded(title, host, pool, state, directory, flavour === "thick", await freePort());
}

const INITIATOR = iscsiInitiator();

class Embedded implements World {
    readonly grain = 1;
    readonly exports = true;
    readonly closesPortals = false;
    readonly haltDirectory: string;
    private readonly stateDirectory: string;
    private readonly tgtd: ReturnType<typeof tgtd>;

    constructor(
        readonly title: string,
        private readonly host: EmbeddedHost,
        private readonly pool: Filesystem,
        private readonly state: Filesystem,
        private readonly directory: string,
        private readonly thick: boolean,
        private readonly secondPort: number,
    ) {
        this.stateDirectory = join(state.directory, "state");
        this.haltDirectory = join(host.directory, "halts");
        this.tgtd = tgtd(host.tgt?.controlPort);
        mkdirSync(this.haltDirectory);
    }

    configuration(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
        const provisioning = this.thick ? "thick" : "thin";
        const pool = { driver: "file", directory: this.directory, initialize: true, provisioning };
        const { controlPort = 0, portal = "" } = this.host.tgt ?? {};
        const portals = [portal, `127.0.0.1:${String(this.secondPort)}`];
        return this.host.configuration({
            stateDirectory: this.stateDirectory,
            pools: { [POOL]: pool },
            targets: { iscsi: { helper: "tgt", portals, controlPort } },
            ...more,
        });
    }

    async sh(script: string): Promise<string> {
        const { stdout } = await execute("sh", ["-c", script], { maxBuffer: 2 ** 26, cwd: "/" });
        return stdout;
    }

    async stop(): Promise<void> {
        await this.host.stop();
        await this.pool.close();
        await this.state.close();
    }

    async reset(): Promise<void> {
        this.host.setTap(undefined);
        await this.host.powerOff();
        await this.sh(
            `rm -rf ${quote(this.haltDirectory)}/zz* ${quote(this.pool.directory)}/hog ${quote(this.state.directory)}/* && find ${quote(this.directory)} -mindepth 1 -delete`,
        );
        await this.host.powerOn();
    }

    private file(name: string): string {
        return join(this.directory, `${name}.img`);
    }

    exists(name: string): Promise<boolean> {
        return Promise.resolve(existsSync(this.file(name)));
    }

    async objects(): Promise<string[]> {
        const names = await this.sh(
            `cd ${quote(this.directory)} && find . -maxdepth 1 -name '*.img' -printf '%f\\n'`,
        );
        return names.split("\n").flatMap((name) => (name === "" ? [] : [name.slice(0, -".img".length)]));
    }

    async size(name: string): Promise<number> {
        return Number(await this.sh(`stat -c %s ${quote(this.file(name))}`));
    }

    async fill(name: string, byte: number, bytes = 4096): Promise<void> {
        const octal = byte.toString(8).padStart(3, "0");
        await this.sh(
            `head -c ${String(bytes)} /dev/zero | tr '\\000' '\\${octal}' | dd of=${quote(this.file(name))} conv=notrunc bs=1M iflag=fullblock status=none`,
        );
    }

    async firstByte(name: string): Promise<number> {
        return Number(await this.sh(`od -An -tu1 -N1 ${quote(this.file(name))}`));
    }

    async digest(name: string): Promise<string> {
        return this.sh(`sha256sum < ${quote(this.file(name))}`);
    }

    async ownerOf(name: string): Promise<string> {
        const mark = await this.sh(`readlink ${quote(join(this.directory, ".blockhost/marks", name))}`);
        return /owner:([^&]*)/.exec(mark)?.[1] ?? "";
    }

    async somebodysData(name: string, byte: number, bytes: number): Promise<string> {
        await this.sh(`truncate -s ${String(bytes)} ${quote(this.file(name))}`);
        await this.fill(name, byte);
        return `${name}.img`;
    }

    warmUp(client: Client): Promise<void> {
        return firstVolume(client, this.exports);
    }

    discard(name: string): Promise<void> {
        rmSync(this.file(name));
        return Promise.resolve();
    }

    readonly portals = INITIATOR.portals;
    readonly login = INITIATOR.login;
    readonly capacity = INITIATOR.capacity;
    readonly readThrough = INITIATOR.readThrough;

    async targets(): Promise<string[]> {
        return (await this.sh(this.tgtd.targets)).split("\n").filter((line) => line !== "");
    }

    async dropTarget(targetName: string): Promise<void> {
        await this.sh(this.tgtd.drop(targetName));
    }

    exportOwner(name: string): Promise<string> {
        return this.sh(`sed -n 's/^#bh mark //p' ${quote(`${this.stateDirectory}/exports/iscsi/${name}`)}`);
    }

    async inventory(): Promise<string[]> {
        const state = quote(this.stateDirectory);
        const text = await this.sh(`
cd ${quote(this.directory)} && find . -mindepth 1 \\( -type l -printf 'pool %p -> %l\\n' -o -type f -printf 'pool %p %m %s %n\\n' -o -printf 'pool %p %y %m\\n' \\)
if cd ${state} 2>/dev/null; then
    find . -mindepth 1 ! -type d -printf 'state %p %y %m\\n'
    for boot in exports/*/*; do
        [ -e "$boot" ] && sed -n "/^#bh \\(mark\\|applied\\|size\\|accounts\\)/s|^|$boot |p" "$boot"
    done
    flock -n -s lock true || echo 'state lock is held'
fi
${this.tgtd.listing}`);
        return text
            .split("\n")
            .filter((line) => line !== "" && !/\/reflink -> /.test(line))
            .map(withoutIdentity)
            .concat(this.runs())
            .sort();
    }

    /** Processes that belong neither to tgtd nor to a shell that a connection still holds. */
    private runs(): string[] {
        const { shells, all } = this.processes();
        const tgtd = this.host.tgt?.pid;
        const channels = new Set(this.host.sessions().map(({ pid }) => pid));
        const left = all.filter(
            ({ pid, parent, session }) =>
                !shells.has(session) &&
                pid !== tgtd &&
                !channels.has(pid) &&
                parent !== tgtd &&
                session !== tgtd,
        );
        return left.length === 0 ? [] : ["processes are left"];
    }

    private processes(): { all: Process[]; shells: Set<number> } {
        const channels = new Set(this.host.sessions().map(({ pid }) => pid));
        const all = this.host.processes().flatMap((pid) => processOf(pid) ?? []);
        const shells = all.filter((one) => channels.has(one.parent) && one.session === one.pid);
        return { all, shells: new Set(shells.map(({ pid }) => pid)) };
    }

    /** The shells that scripts run in and all that belongs to their sessions; not what has made a session of its own. */
    killShells(): Promise<void> {
        const { shells, all } = this.processes();
        for (const { pid, session } of all) {
            if (shells.has(session)) killNow(pid);
        }
        return Promise.resolve();
    }

    cutConnections(): Promise<void> {
        this.host.cutConnections();
        return Promise.resolve();
    }

    cutAfter(bytes: number): void {
        let passed = 0;
        this.host.setTap(({ direction, chunk }) => {
            if (direction !== "in") return undefined;
            const room = bytes - passed;
            passed += chunk.length;
            if (chunk.length <= room) return undefined;
            this.host.setTap(undefined);
            return chunk.subarray(0, room);
        });
    }

    powerOff(): Promise<void> {
        return this.host.powerOff();
    }

    /** What a host with systemd does at boot: every boot file, one after the other. */
    async powerOn(): Promise<void> {
        await this.host.powerOn();
        await this.boot();
    }

    private boot(): Promise<string> {
        return this.sh(
            `cd ${quote(this.stateDirectory)} 2>/dev/null || exit 0; for boot in exports/*/*; do [ ! -f "$boot" ] || sh "$boot" </dev/null 2>/dev/null; done; :`,
        );
    }

    killDaemon(): Promise<void> {
        return this.host.stopTgtd();
    }

    startDaemon(): Promise<void> {
        return this.host.startTgtd();
    }

    async fillUp(what: Volume): Promise<() => Promise<void>> {
        const root = what === "pool" ? this.pool.directory : this.state.directory;
        const hog = join(root, "hog");
        // First in one piece, then in ever smaller ones, until not even a file name has room.
        await this.sh(`mkdir -p ${quote(hog)} && cd ${quote(hog)}
fallocate -l $(( $(stat -f -c '%a * %S' .) )) large 2>/dev/null || head -c 1G /dev/zero > large 2>/dev/null
n=0; while [ $n -lt 40 ] && head -c 4096 /dev/zero > small.$n 2>/dev/null; do n=$((n + 1)); done; :`);
        return () => {
            rmSync(hog, { recursive: true, force: true });
            return Promise.resolve();
        };
    }

    sees(path: string): Promise<boolean> {
        return Promise.resolve(existsSync(path));
    }
}

interface Process {
    readonly pid: number;
    readonly parent: number;
    readonly session: number;
}

function processOf(pid: number): Process | undefined {
    try {
        const stat = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
        const [, parent, , session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        return { pid, parent: Number(parent), session: Number(session) };
    } catch {
        return undefined;
    }
}

function killNow(pid: number): void {
    try {
        process.kill(pid, "SIGKILL");
    } catch {
        // It has ended.
    }
}
