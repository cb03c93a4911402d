import { sh, type Sh } from "../sh";
import { observeEpoch } from "./epoch";
import { observeLeftovers } from "./leftovers";
import type { Touched } from "./plan";
import { observeUnits } from "./units";

/**
 * What each observation reads of the state directory beside objects, as one section of a script:
 *
 *     == leftovers   see leftovers.ts
 *     == epoch       see epoch.ts; not where no target was touched
 *     == units       see units.ts
 */
export function observeState(stateDirectory: string, touched: Touched | undefined): Sh {
    const targets = touched?.targets === undefined || Object.keys(touched.targets).length > 0;
    return sh`echo '== leftovers'
${observeLeftovers(stateDirectory)}
${targets ? sh`echo '== epoch'\n${observeEpoch(stateDirectory, touched === undefined)}` : sh`:`}
echo '== units'
${observeUnits(stateDirectory)}`;
}

/** What was said of each. */
export function splitState(output: string): { leftovers?: string; epoch?: string; units?: string } {
    const pieces = output.split(/^== (leftovers|epoch|units)\n/m).slice(1);
    return Object.fromEntries(
        pieces.flatMap((name, i) => (i % 2 === 0 ? [[name, pieces[i + 1] ?? ""]] : [])),
    );
}
