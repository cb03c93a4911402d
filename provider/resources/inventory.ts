import type { HostFacts } from "../host/facts";
import { devicePath } from "../clients/faults";
import type { Host } from "../host/host";
import type { Mark } from "../host/mark";
import { ATTACHMENTS, formatId } from "../names";
import { poolsOf } from "./functions/types";
import type { Context } from "./types";

/** Everything on a host that carries an owner mark. */
export interface InventoryItem {
    readonly kind: "Volume" | "Snapshot" | "Export" | "Attachment" | "safety";
    readonly id: string;
    /** Pool, protocol, or `attachment`. */
    readonly container: string;
    readonly name: string;
    readonly mark: Mark;
    readonly sizeBytes?: number;
    readonly path: string;
    /** What is not there of it. */
    readonly missing?: string;
}

const KINDS: Partial<Record<Mark["kind"], InventoryItem["kind"]>> = {
    volume: "Volume",
    snapshot: "Snapshot",
    safety: "safety",
};

/** Sorted by kind and id. Pools that cannot be read are told by a warning, and left out. */
export function inventory(context: Context, place: { host: Host; facts: HostFacts }): InventoryItem[] {
    const host = place.host.config.name;
    const objects = poolsOf(context, place, undefined).flatMap((pool) =>
        [...pool.facts.objects.values()].flatMap((object): InventoryItem[] => {
            const kind = object.mark === undefined ? undefined : KINDS[object.mark.kind];
            if (object.mark === undefined || kind === undefined) return [];
            return [
                {
                    kind,
                    id: formatId({ host, container: pool.ref.name, name: object.name }),
                    container: pool.ref.name,
                    name: object.name,
                    mark: object.mark,
                    path: object.path,
                    ...(object.sizeBytes === undefined
                        ? { missing: "its data is gone" }
                        : { sizeBytes: object.sizeBytes }),
                },
            ];
        }),
    );
    const paths = new Set(objects.map(({ path }) => path));
    const exports = [...place.facts.targets].flatMap(([protocol, target]) =>
        [...target.exports.values()].map((one): InventoryItem => ({
            kind: "Export",
            id: formatId({ host, container: protocol, name: one.name }),
            container: protocol,
            name: one.name,
            mark: one.mark,
            path: one.devicePath,
            ...(paths.has(one.devicePath) ? {} : { missing: `what it exports is gone: ${one.devicePath}` }),
        })),
    );
    return [...objects, ...exports, ...attachments(host, place.facts)].sort((a, b) =>
        `${a.kind}/${a.id}` < `${b.kind}/${b.id}` ? -1 : 1,
    );
}

/** What is attached to the host as a client. */
function attachments(host: string, { client }: HostFacts): InventoryItem[] {
    if (client === undefined) return [];
    return [...client.attachments.values()].map(({ name, mark, declared }) => ({
        kind: "Attachment",
        id: formatId({ host, container: ATTACHMENTS, name }),
        container: ATTACHMENTS,
        name,
        mark,
        path: devicePath(client, declared) ?? "",
    }));
}
