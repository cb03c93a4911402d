import { attachment } from "./attachment";
import { exportLifecycle } from "./export";
import { pool } from "./pool";
import { snapshot } from "./snapshot";
import type { Lifecycle } from "./types";
import { volume } from "./volume";

/** Every kind of resource, by the name it has in programs. */
export const lifecycles: Readonly<Record<string, Lifecycle>> = {
    Pool: pool,
    Volume: volume,
    Snapshot: snapshot,
    Export: exportLifecycle,
    Attachment: attachment,
};
