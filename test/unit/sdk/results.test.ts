import { expectTypeOf, test } from "vitest";
import type * as z from "zod";
import type * as host from "../../../provider/resources/functions/host";
import type * as manageable from "../../../provider/resources/functions/manageable";
import type * as objects from "../../../provider/resources/functions/objects";
import type * as orphans from "../../../provider/resources/functions/orphans";
import type * as pool from "../../../provider/resources/functions/pool";
import type * as unmanaged from "../../../provider/resources/functions/unmanaged";
import type * as results from "../../../sdk/nodejs/results";

/**
 * Types of the dynamic face's functions are written out: inferred ones would bring zod's into every program that uses
 * them. The compiler, which `npm test` runs over tests, too, sees to it that they are the same.
 */
test("what functions give is what their definitions say", () => {
    expectTypeOf<results.GetHostResult>().toEqualTypeOf<z.infer<typeof host.hostResult>>();
    expectTypeOf<results.GetPoolResult>().toEqualTypeOf<z.infer<typeof pool.poolResult>>();
    expectTypeOf<results.GetVolumeResult>().toEqualTypeOf<z.infer<typeof objects.volumeResult>>();
    expectTypeOf<results.GetSnapshotResult>().toEqualTypeOf<z.infer<typeof objects.snapshotResult>>();
    expectTypeOf<results.GetManageableResult>().toEqualTypeOf<z.infer<typeof manageable.manageableResult>>();
    expectTypeOf<results.GetOrphansResult>().toEqualTypeOf<z.infer<typeof orphans.orphansResult>>();
    expectTypeOf<results.GetUnmanagedResult>().toEqualTypeOf<z.infer<typeof unmanaged.unmanagedResult>>();
});
