import { Hosts } from "../../host/hosts";
import { readConfiguration } from "../../resources/configuration";
import { functions } from "../../resources/functions";
import { callFunction } from "../../resources/functions/types";
import type { Context } from "../../resources/types";

/** Functions as programs of the dynamic face call them: in the program's own process. */

let context: Context | undefined;
let before: Promise<unknown> = Promise.resolve();

/**
 * @param config the stack's configuration below `blockhost:`
 * @param warn shows the user something
 */
export function call(
    name: string,
    args: Readonly<Record<string, unknown>>,
    config: (key: string) => string | undefined,
    warn: (message: string) => void,
): Promise<unknown> {
    if (context === undefined) {
        const given = { hosts: config("hosts"), installation: config("installation") };
        const { hosts, installation } = readConfiguration(given);
        context = { hosts: new Hosts(hosts), installation, warn };
    }
    const found = functions[name];
    if (found === undefined) throw new TypeError(`no function ${name}`);
    const known = Object.entries(args).filter(([, value]) => value !== undefined);
    const asking = context;
    // It is another process that makes and changes resources, and what is asked may come after one of them: each call
    // looks anew, one after the other, so that none takes over an observation that began before it.
    const answer = before.then(() => {
        asking.hosts.forget();
        return callFunction(asking, found, Object.fromEntries(known));
    });
    before = answer.catch(() => undefined);
    return answer;
}
