import type * as z from "zod";
import type * as host from "../../provider/resources/functions/host";
import type * as manageable from "../../provider/resources/functions/manageable";
import type * as objects from "../../provider/resources/functions/objects";
import type * as orphans from "../../provider/resources/functions/orphans";
import type * as pool from "../../provider/resources/functions/pool";
import type * as unmanaged from "../../provider/resources/functions/unmanaged";

/** What functions give, from the definitions that the plugin's schema comes from, too. */

export type GetHostResult = z.infer<typeof host.hostResult>;
export type GetPoolResult = z.infer<typeof pool.poolResult>;
export type GetVolumeResult = z.infer<typeof objects.volumeResult>;
export type GetSnapshotResult = z.infer<typeof objects.snapshotResult>;
export type GetManageableResult = z.infer<typeof manageable.manageableResult>;
export type GetOrphansResult = z.infer<typeof orphans.orphansResult>;
export type GetUnmanagedResult = z.infer<typeof unmanaged.unmanagedResult>;
