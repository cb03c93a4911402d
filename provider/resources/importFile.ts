import type { HostReference } from "../host/hosts";
import type { Owner } from "../host/mark";
import { parseId } from "../names";
import { placeOf } from "./functions/types";
import { getUnmanaged } from "./functions/unmanaged";
import { inventory } from "./inventory";
import type { Context } from "./types";

/** A file for `pulumi import --file`. Source: pulumi's pkg/cmd/pulumi/operations, `importFile`. */
export interface ImportFile {
    readonly resources: readonly { readonly type: string; readonly name: string; readonly id: string }[];
}

export interface ImportFilter {
    readonly organization?: string | undefined;
    readonly project?: string | undefined;
    readonly stack?: string | undefined;
    /** Volumes without an owner mark, too: the first `pulumi up` after the import takes them over. */
    readonly unmanaged?: boolean | undefined;
}

/** F30: what a host holds, by the names that its resources had; others by their names on the host. */
export async function importFile(
    context: Context,
    reference: HostReference,
    filter: ImportFilter,
): Promise<ImportFile> {
    const place = await placeOf(context, reference);
    const whole = inventory(context, place).filter(
        ({ kind, mark, missing }) =>
            // What an attachment is attached by cannot be read back from its client.
            kind !== "safety" && kind !== "Attachment" && mark.phase === "ready" && missing === undefined,
    );
    const marked = whole
        .filter(
            ({ mark: { owner } }) =>
                owner.installation === context.installation &&
                (filter.organization ?? owner.organization) === owner.organization &&
                (filter.project ?? owner.project) === owner.project &&
                (filter.stack ?? owner.stack) === owner.stack,
        )
        .map(({ kind, id, mark }) => ({ type: `blockhost:index:${kind}`, name: mark.owner.resource, id }));
    warnOfStacks(
        context,
        filter,
        [...new Set(whole.map(({ mark: { owner } }) => stackOf(owner)))],
        marked.length,
    );
    const unmarked =
        filter.unmanaged === true
            ? (await getUnmanagedObjects(context, reference)).map((id) => ({
                  type: "blockhost:index:Volume",
                  name: parseId(id)?.name ?? id,
                  id,
              }))
            : [];
    return { resources: distinct([...marked, ...unmarked]) };
}

const stackOf = ({ project, stack }: Owner) => `${project}/${stack}`;

/** An import takes only what is of its own stack; and a stack's name is soon mistyped. */
function warnOfStacks(context: Context, filter: ImportFilter, stacks: string[], listed: number): void {
    const all = stacks.sort().join(", ");
    if (filter.stack === undefined && stacks.length > 1)
        context.warn(
            `there are objects of several stacks (${all}), and an import takes only those of its own stack: choose one with \`--of\``,
        );
    if (filter.stack !== undefined && listed === 0)
        context.warn(
            `nothing there is of the stack asked for; there are objects of ${all === "" ? "none" : all}`,
        );
}

async function getUnmanagedObjects(context: Context, host: HostReference): Promise<string[]> {
    const { objects } = (await getUnmanaged.run(context, { host })) as {
        objects: { id: string; safeToManage: boolean }[];
    };
    return objects.filter(({ id, safeToManage }) => safeToManage && id !== "").map(({ id }) => id);
}

/** Two resources of one type cannot have one name in a file: the later gets its pool's name, too. */
function distinct(resources: ImportFile["resources"]): ImportFile["resources"] {
    const taken = new Set<string>();
    return resources.map((resource) => {
        let { name } = resource;
        if (taken.has(`${resource.type} ${name}`)) name = resource.id.replaceAll("/", "-");
        taken.add(`${resource.type} ${name}`);
        return { ...resource, name };
    });
}
