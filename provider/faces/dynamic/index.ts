import { BlockhostError, toBlockhostError } from "../../errors";
import { Hosts } from "../../host/hosts";
import { lifecycles } from "../../resources";
import { readConfiguration } from "../../resources/configuration";
import { IncompleteCreation } from "../../resources/creation";
import type { Change, Context, Lifecycle } from "../../resources/types";
import { asPulumiShows } from "../failures";
import { hasUnknown } from "../../validate";

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

export function configure({ config }: { config: Config }): void {
    if (context !== undefined) return;
    const { hosts: configured, installation } = readConfiguration({
        hosts: config.get("blockhost:hosts"),
        installation: config.get("blockhost:installation"),
    });
    const hosts = new Hosts(configured);
    context = {
        hosts,
        installation,
        warn,
        inform: once((message) => {
            console.log(message);
        }),
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

function once(tell: (message: string) => void): (message: string) => void {
    const said = new Set<string>();
    return (message) => {
        if (said.has(message)) return;
        said.add(message);
        tell(message);
    };
}

const warn = once((message) => {
    console.log(`warning: ${message}`);
});

function current(): Context {
    context ??= { hosts: new Hosts({}), installation: "default", warn };
    return context;
}

/** The lifecycle of a resource, by the kind that its class put among the inputs. */
function lifecycle({ kind }: Inputs): Lifecycle {
    const found = typeof kind === "string" ? lifecycles[kind] : undefined;
    if (found !== undefined) return found;
    throw new BlockhostError("unsupported", `this version has no resource of kind ${String(kind)}`);
}

/** Pulumi prints `error.stack`; for an error of ours, the message says it all. */
async function reported<T>(what: () => Promise<T>): Promise<T> {
    try {
        return await what();
    } catch (error) {
        if (error instanceof Error && "reasons" in error) throw error;
        throw error instanceof BlockhostError ? shown(error) : new Error(toBlockhostError(error).message);
    }
}

function shown(error: BlockhostError): Error {
    const failure = new Error(error.message);
    failure.stack = "";
    failure.toString = () => "blockhost";
    return failure;
}

/** What the program of this run declares: those have a `check` before their `diff`; in a refresh nothing has. */
const declared = new Set<string>();

function declaration({ kind, owner }: Inputs): string {
    return JSON.stringify([kind, owner]);
}

export function check(olds: Inputs, news: Inputs) {
    return reported(async () => {
        declared.add(declaration(news));
        const old = ownInputs(olds);
        const before = Object.keys(old).length === 0 ? undefined : old;
        const { inputs, failures } = await lifecycle(news).check(current(), before, ownInputs(news));
        return { inputs: recorded(inputs, news), failures: asPulumiShows(failures, news) };
    });
}

export function diff(olds: Inputs, news: Inputs) {
    return reported(async () => {
        const inputs = ownInputs(news);
        let changes: readonly Change[];
        try {
            changes = await lifecycle(news).diff(current(), ownInputs(olds), inputs);
        } catch (error) {
            // A refresh only asks what differs. Nothing is going to be changed, so there is nothing to refuse.
            if (declared.has(declaration(news)) || !(error instanceof BlockhostError)) throw error;
            return { changes: true, replaces: [], deleteBeforeReplace: true };
        }
        const replaces = changes
            .filter((change) => change.kind === "replace")
            .map(({ property }) => property);
        // What the plugin face had before is recorded as this one's.
        const moved = olds["kind"] !== news["kind"];
        const changed = changes.length > 0 || moved || hasUnknown(inputs);
        return { changes: changed, replaces, deleteBeforeReplace: true };
    });
}

export function create(inputs: Inputs) {
    return reported(async () => {
        try {
            const { id, state } = await lifecycle(inputs).create(current(), ownInputs(inputs));
            return { id, outs: recorded(state, inputs) };
        } catch (error) {
            if (!(error instanceof IncompleteCreation)) throw error;
            // By an error with these properties Pulumi records what there is, and calls `update` in the next run.
            const properties = { ...recorded(error.state, inputs), __provider: inputs["__provider"] };
            throw Object.assign(shown(error.cause), { id: error.id, reasons: [error.message], properties });
        }
    });
}

export function read(id: string, olds: Inputs) {
    return reported(async () => {
        const found = await lifecycle(olds).read(current(), ownInputs(olds));
        // An empty id says that it is gone.
        return found === undefined
            ? { id: "", props: {} }
            : { id: found.id || id, props: recorded(found.state, olds) };
    });
}

export function update(olds: Inputs, news: Inputs) {
    return reported(async () => {
        const state = await lifecycle(news).update(current(), ownInputs(olds), ownInputs(news));
        return { outs: recorded(state, news) };
    });
}

export function remove(olds: Inputs) {
    return reported(() => lifecycle(olds).delete(current(), ownInputs(olds)));
}

/** Inputs as a lifecycle knows them: without this face's own, and without absent ones, which arrive as null. */
function ownInputs(inputs: Inputs): Inputs {
    const { __provider, kind: _kind, ...own } = inputs;
    return Object.fromEntries(
        Object.entries(own).filter(([, value]) => value !== undefined && value !== null),
    );
}

function recorded(state: unknown, { kind }: Inputs): Inputs {
    return { ...(state as Inputs), kind };
}
