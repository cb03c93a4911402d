import type { Lab } from "../lab/lab.mjs";
import type { Protocol } from "../../provider/targets/types";
import { iscsiInitiator } from "./iscsiInitiator";
import { StorageHost, type StorageParts } from "./storageWorld";
import type { World } from "./world";

/** What a storage host of the lab exports its volumes by, and how that is looked at beside the provider. */
export interface Exporter extends Pick<World, "title" | "closesPortals"> {
    readonly protocol: Protocol;
    readonly target: Readonly<Record<string, unknown>>;
    /** Shell text that prints the names of all targets. */
    readonly targets: string;
    /** Shell text that takes one away. */
    readonly drop: (name: string) => string;
    /** Shell text that prints everything that it has, for {@link World.inventory}. */
    readonly listing: string;
    /** Lines of that which are there without any export. */
    readonly bare?: RegExp;
    /** A line without what is new with each making of an export, beside what is so of all. */
    readonly withoutIdentity: (line: string) => string;
    readonly initiator: Pick<World, "portals" | "login" | "capacity" | "readThrough">;
}

/** Portals of a storage host that are reached from here, and QEMU and libiscsi on this machine as who logs in there. */
export async function iscsiOutside(
    host: ReturnType<Lab["host"]>,
): Promise<{ portals: readonly string[] } & Pick<Exporter, "initiator">> {
    const { stdout } = await host.run("ip -o -4 addr show dev eth0");
    const address = /inet ([0-9.]+)\//.exec(stdout)?.[1] ?? "";
    const outside = new Map<string, string>();
    for (const port of [3260, 3261]) {
        const here = port === 3260 ? host.portTo(port) : await host.forward(port);
        outside.set(`${address}:${String(port)}`, `127.0.0.1:${String(here)}`);
    }
    const initiator = iscsiInitiator((portal) => outside.get(portal) ?? portal);
    return { portals: [...outside.keys()], initiator };
}

export class ExportHost extends StorageHost {
    override readonly exports = true;
    override readonly closesPortals: boolean;
    override readonly title: string;

    constructor(
        private readonly exporter: Exporter,
        ...parts: StorageParts
    ) {
        super(...parts);
        this.title = `${this.store.title}; ${exporter.title}`;
        this.closesPortals = exporter.closesPortals;
    }

    override configuration(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
        return super.configuration({ targets: { [this.exporter.protocol]: this.exporter.target }, ...more });
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
        return this.exporter.initiator.portals(...args);
    }
    override login(...args: Parameters<World["login"]>): Promise<string> {
        return this.exporter.initiator.login(...args);
    }
    override capacity(...args: Parameters<World["capacity"]>): Promise<number> {
        return this.exporter.initiator.capacity(...args);
    }
    override readThrough(...args: Parameters<World["readThrough"]>): Promise<Buffer> {
        return this.exporter.initiator.readThrough(...args);
    }

    override async targets(): Promise<string[]> {
        return (await this.sh(this.exporter.targets)).split("\n").filter((line) => line !== "");
    }

    override async dropTarget(targetName: string): Promise<void> {
        await this.sh(this.exporter.drop(targetName));
    }

    override exportOwner(name: string): Promise<string> {
        return this.sh(`sed -n 's/^#bh mark //p' ${this.bootFiles}/${name}`);
    }

    private get bootFiles(): string {
        return `${this.store.stateDirectory}/exports/${this.exporter.protocol}`;
    }

    /** With all that there is of targets, and what boot files say. */
    override async inventory(): Promise<string[]> {
        const { listing, bare, withoutIdentity } = this.exporter;
        const text = await this.sh(`
( cd ${this.bootFiles} 2>/dev/null && for boot in *; do
    [ -e "$boot" ] && sed -n "/^#bh \\(mark\\|applied\\|size\\|accounts\\|activate\\|device\\|secrets\\)/s|^|$boot |p" "$boot"
done )
${listing}`);
        const lines = text.split("\n").filter((line) => line !== "" && bare?.test(line) !== true);
        return [
            ...(await super.inventory()),
            ...lines.map(withoutGeneration).map((line) => withoutIdentity(line)),
        ].sort();
    }
}

/** What is new with each making of an export, whatever makes it. */
function withoutGeneration(line: string): string {
    return line
        .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, "UUID")
        .replace(/\b[0-9a-f]{16}\b/g, "GENERATION")
        .replace(/(:[A-Za-z0-9._-]+):[0-9a-f]{8}\b/g, "$1:GENERATION");
}
