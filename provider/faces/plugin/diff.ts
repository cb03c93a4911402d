import { DiffResponse, PropertyDiff } from "@pulumi/pulumi/proto/provider_pb";
import type { Change } from "../../resources/types";
import { formatPath, hasUnknown } from "../../validate";
import type { Path, Values } from "./values";

/** Pulumi's detailed diff, from the changes that a lifecycle tells and the inputs before and after. */

const { Kind } = PropertyDiff;

export interface Difference {
    readonly path: string;
    readonly kind: "add" | "delete" | "update";
    readonly replace: boolean;
    /** Between inputs; else between what is recorded of the host and the inputs. */
    readonly input: boolean;
}

export function detailedDiff(
    changes: readonly Change[],
    before: Values,
    after: Values,
    unknown: boolean,
): Difference[] {
    const replaced = new Set(
        changes.filter(({ kind }) => kind === "replace").map(({ property }) => property),
    );
    const properties = new Set(changes.map(({ property }) => property));
    // What is not known yet may turn out to be a change.
    if (unknown) {
        for (const key of Object.keys(after)) if (hasUnknown(after[key])) properties.add(key);
    }
    return [...properties].flatMap((property): Difference[] => {
        const replace = replaced.has(property);
        const leaves = differences(before[property], after[property], [property]);
        if (leaves.length === 0) return [{ path: property, kind: "update", replace, input: false }];
        return leaves.map(({ path, kind }) => ({
            path: formatPath(path),
            kind,
            replace,
            input: true,
        }));
    });
}

function differences(before: unknown, after: unknown, at: Path): { path: Path; kind: Difference["kind"] }[] {
    if (JSON.stringify(before) === JSON.stringify(after)) return [];
    if (before === undefined) return [{ path: at, kind: "add" }];
    if (after === undefined) return [{ path: at, kind: "delete" }];
    if (Array.isArray(before) && Array.isArray(after)) {
        const longer = Math.max(before.length, after.length);
        return Array.from({ length: longer }, (_, i) => differences(before[i], after[i], [...at, i])).flat();
    }
    if (isObject(before) && isObject(after)) {
        const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
        return keys.flatMap((key) => differences(before[key], after[key], [...at, key]));
    }
    return [{ path: at, kind: "update" }];
}

function isObject(value: unknown): value is Values {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function toDiffResponse(differences: readonly Difference[], stables: readonly string[]): DiffResponse {
    const response = new DiffResponse();
    const { DIFF_SOME, DIFF_NONE } = DiffResponse.DiffChanges;
    response.setChanges(differences.length > 0 ? DIFF_SOME : DIFF_NONE);
    response.setHasdetaileddiff(true);
    const replaces = differences.filter(({ replace }) => replace);
    response.setReplacesList([...new Set(replaces.map(({ path }) => topLevel(path)))]);
    response.setDiffsList([...new Set(differences.map(({ path }) => topLevel(path)))]);
    // The new one takes the old one's name: there is no room for both.
    response.setDeletebeforereplace(replaces.length > 0);
    if (replaces.length === 0) response.setStablesList([...stables]);
    for (const { path, kind, replace, input } of differences) {
        const one = new PropertyDiff();
        one.setKind(KINDS[kind][replace ? 1 : 0]);
        one.setInputdiff(input);
        response.getDetaileddiffMap().set(path, one);
    }
    return response;
}

const KINDS = {
    add: [Kind.ADD, Kind.ADD_REPLACE],
    delete: [Kind.DELETE, Kind.DELETE_REPLACE],
    update: [Kind.UPDATE, Kind.UPDATE_REPLACE],
} as const;

function topLevel(path: string): string {
    return /^[^.[]+/.exec(path)?.[0] ?? path;
}
