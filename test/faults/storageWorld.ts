import { type Lab, startLab } from "../lab/lab.mjs";
import type { HostName } from "../lab/layout.mjs";
import { type Client, POOL } from "../support/client";
import { fileStore } from "./fileStore";
import { LabMachine, wayTo } from "./labMachine";
import { lvmStore } from "./lvmStore";
import type { TcpProxy } from "./tcpProxy";
import { firstVolume, type World } from "./world";

/** What backs the volumes of a storage host of the lab, and how it is looked at beside the provider. */
export interface Store extends Pick<
    World,
    | "title"
    | "grain"
    | "exists"
    | "objects"
    | "size"
    | "fill"
    | "firstByte"
    | "digest"
    | "ownerOf"
    | "somebodysData"
    | "discard"
    | "fillUp"
> {
    readonly stateDirectory: string;
    /** Options of the pool. */
    readonly pool: Readonly<Record<string, unknown>>;
    /** Makes it anew, with nothing in it. */
    prepare(): Promise<void>;
    /** Shell text that prints everything of ours in it, for {@link World.inventory}. */
    readonly listing: string;
}

export type StoreKind = "thin" | "thick" | "file";

const STORES: Readonly<Record<StoreKind, (lab: Lab) => Store>> = {
    thin: (lab) => lvmStore("thin", lab),
    thick: (lab) => lvmStore("thick", lab),
    file: fileStore,
};

/** A lab with a storage host that has nothing on it, others beside it, and a way to it that can be cut. */
export async function storageParts(kind: StoreKind, others: readonly HostName[] = []): Promise<StorageParts> {
    const lab = await startLab({ hosts: ["a", ...others] });
    const store = STORES[kind](lab);
    await store.prepare();
    return [lab, store, await wayTo(lab.host("a"))];
}

export type StorageParts = [lab: Lab, store: Store, proxy: TcpProxy];

/** A storage host of the lab without targets. What is not flushed when its power fails is lost. */
export async function storageWorld(kind: StoreKind): Promise<World> {
    return new StorageHost(...(await storageParts(kind)));
}

export class StorageHost extends LabMachine implements World {
    readonly title: string;
    readonly exports: boolean = false;
    readonly closesPortals: boolean = false;
    readonly grain: number;

    constructor(
        private readonly lab: Lab,
        protected readonly store: Store,
        proxy: TcpProxy,
    ) {
        super(lab.host("a"), proxy);
        this.title = store.title;
        this.grain = store.grain;
    }

    configuration(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
        const { pool, stateDirectory } = this.store;
        return {
            ...this.machine.configuration(),
            port: this.proxy.port,
            stateDirectory,
            pools: { [POOL]: pool },
            ...more,
        };
    }

    async stop(): Promise<void> {
        await this.proxy.close();
        await this.lab.stop();
    }

    async reset(): Promise<void> {
        await this.startAgain();
        await this.store.prepare();
    }

    warmUp(client: Client): Promise<void> {
        return firstVolume(client, this.exports);
    }

    exists(name: string): Promise<boolean> {
        return this.store.exists(name);
    }
    objects(): Promise<string[]> {
        return this.store.objects();
    }
    size(name: string): Promise<number> {
        return this.store.size(name);
    }
    fill(...args: Parameters<World["fill"]>): Promise<void> {
        return this.store.fill(...args);
    }
    firstByte(name: string): Promise<number> {
        return this.store.firstByte(name);
    }
    digest(name: string): Promise<string> {
        return this.store.digest(name);
    }
    ownerOf(name: string): Promise<string> {
        return this.store.ownerOf(name);
    }
    somebodysData(...args: Parameters<World["somebodysData"]>): Promise<string> {
        return this.store.somebodysData(...args);
    }
    discard(name: string): Promise<void> {
        return this.store.discard(name);
    }
    fillUp(...args: Parameters<World["fillUp"]>): Promise<() => Promise<void>> {
        return this.store.fillUp(...args);
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
    killDaemon(): Promise<void> {
        return noExports();
    }
    startDaemon(): Promise<void> {
        return noExports();
    }

    /** What the store has, with its marks; units; files; held locks; runs. */
    async inventory(): Promise<string[]> {
        return (await this.left(this.store.stateDirectory, this.store.listing)).sort();
    }
}

function noExports(): never {
    throw new Error("this world has no targets");
}
