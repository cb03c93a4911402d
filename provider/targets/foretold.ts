import { epochEnds, foretell, GENERATION_DIGITS, useEpoch } from "../host/epoch";
import type { HostFacts } from "../host/facts";
import type { Sh } from "../sh";
import type { ExportWanted, TargetContext, TargetRef } from "./types";

/** How the generation of an export begins that is made there now; `undefined`: that cannot be told. */
export function foretold(host: HostFacts, target: TargetRef, name: string): string | undefined {
    const { stateDirectory, portals, protocol } = target;
    if (host.reserved.has(epochEnds(stateDirectory))) return undefined;
    return foretell(host.epoch, [stateDirectory, ...portals], protocol, name);
}

/** That what is made as it was foretold is still new; for a guard. */
export function asForetold({ host, target }: TargetContext, { name, mark }: ExportWanted): Sh | undefined {
    if (foretold(host, target, name) !== mark.generation.slice(0, GENERATION_DIGITS)) return undefined;
    return useEpoch(target.stateDirectory, host.epoch, target.protocol, name);
}
