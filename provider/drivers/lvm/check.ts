import { BlockhostError } from "../../errors";
import type { ObjectFacts } from "../../host/facts";
import type { Mark } from "../../host/mark";
import { showBytes } from "../capacity";
import * as common from "../check";
import { nameProblem } from "./names";
import { DEFAULTS, isThin } from "./options";
import { type Context, type Data, full, realName } from "./steps";

export { ownObject, refuseHalfAdopted, requirePool, requireReady, sameObject } from "../check";

/** @throws BlockhostError `invalid` for a name that LVM cannot give. */
export function requireName(context: Context, name: string): void {
    const problem = nameProblem(context.pool, name);
    if (problem !== undefined) {
        throw new BlockhostError("invalid", `name: ${problem}`, { hint: "give the resource another `name`" });
    }
}

/** @throws BlockhostError `not-found`. */
export function requireData(context: Context, name: string, found: ObjectFacts | undefined): Data {
    return common.requireData(context, name, found);
}

/**
 * @throws BlockhostError `no-space` for a thin pool that is too full already for anything new.
 */
export function requireThinRoom(context: Context): void {
    if (!isThin(context.pool.options)) return;
    const {
        thinPool = "",
        maxDataPercent = DEFAULTS.data,
        maxMetadataPercent = DEFAULTS.metadata,
    } = context.pool.options;
    const { data = "0", metadata = "0" } = context.facts.extra;
    const over = (what: string, percent: string, limit: number, option: string, extend: string) => {
        if (Number(percent) < limit) return;
        throw new BlockhostError(
            "no-space",
            `thin pool "${full(context, thinPool)}" has ${percent} % of its ${what} in use, and nothing is created above ${String(limit)} %`,
            {
                hint: `extend it on the host (\`${extend}\`), delete volumes or snapshots, or raise \`${option}\``,
            },
        );
    };
    const name = full(context, thinPool);
    over("data", data, maxDataPercent, "maxDataPercent", `lvextend -l +10%VG ${name}`);
    over(
        "metadata",
        metadata,
        maxMetadataPercent,
        "maxMetadataPercent",
        `lvextend --poolmetadatasize +1G ${name}`,
    );
}

/**
 * An object whose data is copied from or that is a snapshot's origin.
 *
 * @throws BlockhostError `not-ours`, `not-found`, `conflict`, `invalid` (larger than what is made from it).
 */
export function requireSource(context: Context, name: string, sizeBytes: number | undefined): Data {
    const found = context.facts.objects.get(name);
    if (found !== undefined && found.mark === undefined) {
        throw new BlockhostError("not-ours", `source "${name}" carries no owner mark`, {
            hint: "take it over with `adopt` first",
        });
    }
    const source = requireData(context, name, found);
    common.requireReady(name, source.mark);
    if (sizeBytes !== undefined && source.sizeBytes > sizeBytes) {
        throw new BlockhostError(
            "invalid",
            `source "${name}" has ${showBytes(source.sizeBytes)}, more than the ${showBytes(sizeBytes)} asked for`,
            { hint: `ask for ${String(source.sizeBytes)} bytes or more` },
        );
    }
    return source;
}

/** Snapshots of a thick volume, which share its life, whoever made them. */
export function cowSnapshots(context: Context, volume: ObjectFacts): ObjectFacts[] {
    const name = realName(volume);
    return [...context.facts.objects.values()].filter(
        ({ extra = {} }) => extra["cow"] !== undefined && extra["origin"] === name,
    );
}

/**
 * @throws BlockhostError `conflict` for an object that is not active: its device is not there; `invalid` for a snapshot
 * that has overflowed: there is nothing in it any more.
 */
export function requireReadable(object: ObjectFacts): void {
    if (object.extra?.["lost"] !== undefined) {
        throw new BlockhostError(
            "invalid",
            `snapshot "${object.name}" is lost: more has changed on its volume than its space could hold`,
            {
                hint: "delete it; take the next one with more space (`snapshotPercent` of the pool)",
            },
        );
    }
    if (object.extra?.["active"] === "active") return;
    throw new BlockhostError("conflict", `"${object.name}" is not active`, {
        hint: `\`lvchange -ay -K ${object.path.slice("/dev/".length)}\` activates it; a refresh and an update do too`,
    });
}

/** The mark of a half-made object says what it was begun as. */
export function begunAs(found: ObjectFacts | undefined, mark: Mark): boolean {
    const text = (extra: Mark["extra"]) => JSON.stringify(Object.entries(extra).sort());
    return found?.mark !== undefined && text(found.mark.extra) === text(mark.extra);
}
