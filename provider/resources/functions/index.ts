import { getHost } from "./host";
import { getManageable } from "./manageable";
import { getSnapshot, getVolume } from "./objects";
import { getOrphans } from "./orphans";
import { getPool } from "./pool";
import type { HostFunction } from "./types";
import { getUnmanaged } from "./unmanaged";

/** Every function, by the name it has in programs. */
export const functions: Readonly<Record<string, HostFunction>> = Object.fromEntries(
    [getHost, getPool, getVolume, getSnapshot, getManageable, getOrphans, getUnmanaged].map((one) => [
        one.name,
        one as HostFunction,
    ]),
);
