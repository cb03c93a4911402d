import { vi } from "vitest";
import { CASES } from "./cases";
import type { Case } from "./cases/types";
import { lioWorld, nvmetWorld } from "./kernelWorlds";
import { faultMatrix } from "./matrix";
import { MOMENTS, type Stop, STOPS } from "./stops";
import { type StoreKind, storageWorld } from "./storageWorld";
import { tgtWorld } from "./tgtWorld";
import type { Tormented } from "./world";

/** Volumes and snapshots on LVM, cut short. */
export function lvmFaults(kind: "thin" | "thick"): void {
    const { creations, copies, longWork, ownership } = CASES;
    const { between, inside, noSpace, transit } = STOPS;
    // What is full here is the volume group; a thin pool that is full is another matter: see `test/lab/full.test.ts`.
    const full = noSpace.filter(({ title }) => kind === "thick" && title.startsWith("pool full"));
    patiently();
    faultMatrix(
        `${kind} LVM`,
        () => storageWorld(kind),
        // Only what copies has long work.
        [...creations, ...copies, ...(kind === "thick" ? longWork : []), ...ownership],
        [...between, ...inside, ...full, ...transit, ...MOMENTS],
        { slow: true },
    );
}

const EXPORT_WORLDS = { lio: lioWorld, nvmet: nvmetWorld, tgt: tgtWorld };

/** Exports by a target of the kernel's, or by tgtd, which can end by itself. */
export function labExports(target: keyof typeof EXPORT_WORLDS, kind: StoreKind): void {
    labFaults(
        `exports of ${kind} volumes by ${target}`,
        () => EXPORT_WORLDS[target](kind),
        [
            ...CASES.exports.filter(({ readOnly }) => target !== "nvmet" || readOnly !== true),
            // Only what copies has long work.
            ...(kind === "thick" ? CASES.longExports : []),
        ],
        target === "tgt" ? STOPS.daemon : [],
    );
}

/** Pools, exports, attachments; `more`: ways that only these have. */
export function labFaults<W extends Tormented>(
    title: string,
    start: () => Promise<W>,
    cases: readonly Case<W>[],
    more: readonly Stop<W>[] = [],
): void {
    const { between, inside, transit } = STOPS;
    patiently();
    const ways = [...more, ...between, ...inside, ...transit, ...MOMENTS];
    faultMatrix(title, start, cases, ways, { slow: true });
}

/** One test tries many points; hosts boot in many of them, and a host that is out of reach is waited for for minutes. */
function patiently(): void {
    vi.setConfig({ testTimeout: 7_200_000 });
}
