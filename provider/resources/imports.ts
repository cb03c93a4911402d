import { BlockhostError } from "../errors";
import type { HostFacts, ObjectFacts } from "../host/facts";
import type { Host } from "../host/host";
import type { HostReference } from "../host/hosts";
import { type Mark, type Owner, describeOwner, sameStack } from "../host/mark";
import { type Id, parseId } from "../names";
import type { OwnerInput, UsablePool } from "./common";
import type { Context } from "./types";

/** What imports of all kinds have in common. */

export interface ImportPlace {
    readonly id: Id;
    /** As it goes into the inputs: the host's name, or the host inline. */
    readonly reference: HostReference;
    readonly host: Host;
    readonly facts: HostFacts;
}

/**
 * Reads the host that an id names.
 *
 * @param given what was given beside the id: `host`, where that is inline
 * @throws BlockhostError `invalid`: not an id, or no such host
 */
export async function importPlace(
    context: Context,
    text: string,
    what: string,
    given: Readonly<Record<string, unknown>>,
): Promise<ImportPlace> {
    const id = parseId(text);
    if (id === undefined) {
        const form = what === "export" ? "<host>/<protocol>/<name>" : "<host>/<pool>/<name>";
        throw new BlockhostError(
            "invalid",
            `${JSON.stringify(text.slice(0, 120))} is not the id of ${what === "export" ? "an" : "a"} ${what}`,
            {
                hint: `an id is ${form}, with the host's name in blockhost:hosts: san1/${what === "export" ? "iscsi" : "fast"}/data; \`npx pulumi-blockhost import-file HOST\` lists what a host holds`,
            },
        );
    }
    const inline = given["host"] as HostReference | undefined;
    const reference = typeof inline === "object" && inline.name === id.host ? inline : id.host;
    const host = context.hosts.get(reference);
    return { id, reference, host, facts: await host.facts(context) };
}

/**
 * Who the state shall say has declared an object.
 *
 * @throws BlockhostError `not-ours`: another stack's
 */
export function importedOwner(mark: Mark, owner: Owner, what: string): OwnerInput {
    if (!sameStack(mark.owner, owner)) {
        throw new BlockhostError("not-ours", `${what} belongs to ${describeOwner(mark.owner)}`, {
            hint: 'it stays untouched. To hand it over, set `onDelete: "retain"` there, run `pulumi up` and then `pulumi destroy` there, and import it here',
        });
    }
    return ownerInput(mark.owner);
}

/** An owner as inputs and states have it, its keys in the order of values from the wire. */
export function ownerInput({ organization, parent, project, resource, stack }: OwnerInput): OwnerInput {
    return { organization, ...(parent === undefined ? {} : { parent }), project, resource, stack };
}

/**
 * An object of a pool by its name: marked, or something that can be adopted.
 *
 * @throws BlockhostError `invalid` (another kind of object, not to be adopted), `conflict` (half-made)
 */
export function importedObject(
    pool: UsablePool,
    name: string,
    kind: "volume" | "snapshot",
): { object: ObjectFacts; adopt?: string } | undefined {
    const found = pool.driver.resolveReference(pool.ref, pool.facts, name);
    const object = pool.facts.objects.get(name) ?? pool.facts.objects.get(found ?? "");
    if (object === undefined) return undefined;
    const { mark } = object;
    if (mark === undefined) return adoptable(pool, object, kind);
    if (mark.kind !== kind) {
        throw new BlockhostError(
            "invalid",
            `"${name}" in pool "${pool.ref.name}" is a ${mark.kind}, not a ${kind}`,
            {
                hint:
                    mark.kind === "volume" || mark.kind === "snapshot"
                        ? `import it as blockhost:index:${mark.kind === "volume" ? "Volume" : "Snapshot"}`
                        : "it belongs to its volume",
            },
        );
    }
    if (mark.phase !== "ready" || object.sizeBytes === undefined) {
        throw new BlockhostError("conflict", `${kind} "${name}" is half-made or half-deleted`, {
            hint: `run \`pulumi up\` in the stack of ${describeOwner(mark.owner)} to finish it`,
        });
    }
    return { object };
}

function adoptable(pool: UsablePool, object: ObjectFacts, kind: "volume" | "snapshot") {
    const all = pool.driver.adoptable(pool.ref, pool.facts);
    const one = all.find(
        ({ reference }) => pool.driver.resolveReference(pool.ref, pool.facts, reference) === object.name,
    );
    if (one?.safeToManage !== true || one.kind !== kind) {
        const why =
            one?.reason ?? (one === undefined ? "is nothing that can be managed" : `is a ${one.kind}`);
        throw new BlockhostError(
            "invalid",
            `"${object.name}" in pool "${pool.ref.name}" cannot be imported: ${why}`,
        );
    }
    return { object, adopt: one.reference };
}

/** A resource in whose state there is no generation was imported without a mark: it is not ours before an update. */
export function notTakenOver(what: string): BlockhostError {
    return new BlockhostError("not-ours", `${what} was imported, but carries no owner mark of ours yet`, {
        hint: "it stays untouched: `pulumi up` takes it over first; or take it out of the state with `pulumi state delete`",
    });
}
