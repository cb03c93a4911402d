import { lioTarget } from "./lio";
import { nvmetTarget } from "./nvmet";
import { tgtTarget } from "./tgt";
import type { Protocol, Target } from "./types";

/** All helpers that can export volumes. A new one is a folder beside this file and a line here. */
const TARGETS: readonly Target[] = [tgtTarget, lioTarget, nvmetTarget];

/** The helper of that name for a protocol; `undefined`: there is none. */
export function findTarget(helper: string, protocol: string): Target | undefined {
    return TARGETS.find((target) => target.name === helper && target.protocol === protocol);
}

/** Names of the helpers that speak a protocol. */
export function helperNames(protocol: Protocol | (string & {})): string[] {
    return TARGETS.filter((target) => target.protocol === protocol).map((target) => target.name);
}
