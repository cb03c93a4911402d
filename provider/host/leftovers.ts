import { sh, type Sh } from "../sh";
import type { Plan } from "./plan";

/**
 * Files of the state directory that were being written when a run was cut short: `.<name>.new` among boot files, and
 * `<name>.new` beside them. They may hold secrets, so they go with the next run, whatever that is for.
 */
function files(stateDirectory: string): Sh {
    return sh`${`${stateDirectory}/exports`}/*/.*.new ${stateDirectory}/attachments/.*.new ${stateDirectory}/*.new`;
}

/** Prints a line where there is any; another run may be just writing it. */
export function observeLeftovers(stateDirectory: string): Sh {
    return sh`for file in ${files(stateDirectory)}; do [ ! -e "$file" ] || { echo leftovers; break; }; done`;
}

/** Under the lock, so nobody is writing one. */
export function clearLeftovers(stateDirectory: string): Plan {
    const script = sh`for file in ${files(stateDirectory)}; do [ ! -e "$file" ] || rm -f -- "$file" || exit; done`;
    return {
        steps: [{ label: "clear away what a run that was cut short was writing", script }],
        touched: {},
    };
}
