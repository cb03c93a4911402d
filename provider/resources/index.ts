import { exportLifecycle } from "./export";
import { snapshot } from "./snapshot";
import type { Lifecycle } from "./types";
import { volume } from "./volume";

/** Every kind of resource, by the name it has in programs. */
export const lifecycles: Readonly<Record<string, Lifecycle>> = {
    Volume: volume,
    Snapshot: snapshot,
    Export: exportLifecycle,
};
