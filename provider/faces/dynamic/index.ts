import { BlockhostError, toBlockhostError } from "../../errors";
import { Hosts } from "../../host/hosts";
import { lifecycles } from "../../resources";
import type { Context, Lifecycle } from "../../resources/types";
import { UNKNOWN } from "../../validate";

/**
 * The dynamic face: what the serialised shim of a resource calls, in Pulumi's dynamic provider process. It turns
 * Pulumi's calls into those of a lifecycle and adds nothing of its own.
 */

type Inputs = Record<string, unknown>;

/** Configuration as Pulumi hands it to `configure`; `get` takes `blockhost:hosts`. */
interface Config {
    get(key: string): string | undefined;
}

// One process serves one run; `configure` may be awaited by one resource while another's call already runs.
let context: Context | undefined;

export function configure(config: Config): void {
    if (context !== undefined) return;
    const hosts = new Hosts(readHosts(config.get("blockhost:hosts")));
    const installation = config.get("blockhost:installation") ?? "default";
    context = {
        hosts,
        installation,
        warn: warnOnce(),
        progress: (message) => {
            console.log(message);
        },
    };
    const file = process.env["BLOCKHOST_STATS_FILE"];
    if (file === undefined || file === "") return;
    process.once("exit", () => {
        hosts.report(file);
    });
    // The engine ends the process by a signal, which would skip the exit handlers.
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(0));
}

function readHosts(text: string | undefined): Inputs {
    if (text === undefined || text === "") return {};
    let parsed: unknown;
    try {
        parsed = JSON.parse(text);
    } catch (error) {
        throw new BlockhostError("invalid", "blockhost:hosts is not an object", {
            cause: error,
            hint: "give hosts by name, as docs/configuration.md shows",
        });
    }
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed as Inputs;
    throw new BlockhostError("invalid", "blockhost:hosts must be an object of hosts by name");
}

function warnOnce(): (message: string) => void {
    const said = new Set<string>();
    return (message) => {
        if (said.has(message)) return;
        said.add(message);
        console.log(`warning: ${message}`);
    };
}

function current(): Context {
    context ??= { hosts: new Hosts({}), installation: "default", warn: warnOnce() };
    return context;
}

function lifecycle(kind: string): Lifecycle {
    const found = lifecycles[kind];
    if (found === undefined)
        throw new BlockhostError("unsupported", `this version has no resource of kind ${kind}`);
    return found;
}

/** Pulumi prints `error.stack`; for an error of ours, the message says it all. */
async function reported<T>(what: () => Promise<T>): Promise<T> {
    try {
        return await what();
    } catch (error) {
        const failure = error instanceof BlockhostError ? error : toBlockhostError(error);
        const shown = new Error(failure.message);
        if (error instanceof BlockhostError) {
            shown.stack = "";
            shown.toString = () => "blockhost";
        }
        throw shown;
    }
}

export function check(kind: string, olds: Inputs, news: Inputs) {
    return reported(async () => {
        const before = Object.keys(olds).some((key) => key !== "__provider")
            ? withoutProvider(olds)
            : undefined;
        const { inputs, failures } = await lifecycle(kind).check(current(), before, withoutProvider(news));
        return { inputs, failures: [...failures] };
    });
}

export function diff(kind: string, _id: string, olds: Inputs, news: Inputs) {
    return reported(async () => {
        const changes = await lifecycle(kind).diff(current(), withoutProvider(olds), withoutProvider(news));
        const unknown = JSON.stringify(withoutProvider(news)).includes(UNKNOWN);
        const replaces = changes
            .filter((change) => change.kind === "replace")
            .map(({ property }) => property);
        return { changes: changes.length > 0 || unknown, replaces, deleteBeforeReplace: true };
    });
}

export function create(kind: string, inputs: Inputs) {
    return reported(async () => {
        const { id, state } = await lifecycle(kind).create(current(), withoutProvider(inputs));
        return { id, outs: state as Inputs };
    });
}

export function read(kind: string, id: string, state: Inputs) {
    return reported(async () => {
        const found = await lifecycle(kind).read(current(), withoutProvider(state));
        // An empty id says that it is gone.
        return found === undefined
            ? { id: "", props: {} }
            : { id: found.id || id, props: found.state as Inputs };
    });
}

export function update(kind: string, _id: string, olds: Inputs, news: Inputs) {
    return reported(async () => ({
        outs: (await lifecycle(kind).update(
            current(),
            withoutProvider(olds),
            withoutProvider(news),
        )) as Inputs,
    }));
}

export function remove(kind: string, _id: string, state: Inputs) {
    return reported(() => lifecycle(kind).delete(current(), withoutProvider(state)));
}

function withoutProvider(inputs: Inputs): Inputs {
    const { __provider: _, ...rest } = inputs;
    return dropUndefined(rest);
}

/** Absent values arrive as null. */
function dropUndefined(inputs: Inputs): Inputs {
    return Object.fromEntries(
        Object.entries(inputs).filter(([, value]) => value !== undefined && value !== null),
    );
}
