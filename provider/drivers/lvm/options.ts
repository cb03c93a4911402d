import * as z from "zod";
import { groupProblem, volumeProblem } from "./names";

const percent = (least: number) => z.int().min(least).max(100);

const named = (problem: (name: string) => string | undefined) =>
    z.string().superRefine((value, context) => {
        const message = problem(value);
        if (message !== undefined) context.addIssue({ code: "custom", message });
    });

/** Options of an `lvm` pool, beside those that all pools have. */
export const lvmOptions = z
    .strictObject({
        volumeGroup: named(groupProblem).describe(
            "Name of the volume group, which is there already or is made by a Pool.",
        ),
        thinPool: named(volumeProblem)
            .optional()
            .describe(
                "Name of a thin pool in it, there already or made by a Pool: volumes are thin and live there. Without it they are thick.",
            ),
        raid: z
            .enum(["raid1", "raid10"])
            .meta({ values: { raid1: "Mirrored.", raid10: "Mirrored and striped." } })
            .optional()
            .describe(
                "Thick volumes are kept twice: mirrored (`raid1`), or mirrored and striped (`raid10`).",
            ),
        stripes: z
            .int()
            .min(2)
            .max(64)
            .optional()
            .describe("Physical volumes over which thick volumes are striped; with `raid10`: of each half."),
        snapshotPercent: percent(1)
            .optional()
            .describe(
                "Space set aside for the changes that a snapshot of a thick volume has to keep, in percent of the volume; default 100, which is always enough.",
            ),
        snapshotWarnPercent: percent(1)
            .optional()
            .describe("How full that space may be before it is told; default 80."),
        maxDataPercent: percent(1)
            .optional()
            .describe("How full a thin pool's data may be before nothing more is created in it; default 95."),
        maxMetadataPercent: percent(1)
            .optional()
            .describe(
                "How full a thin pool's metadata may be before nothing more is created in it; default 80.",
            ),
        deviceFilter: z
            .array(
                z
                    .string()
                    .regex(
                        /^[ar]\|[^|'"\\\n]+\|$/,
                        'must be an entry of LVM\'s `filter`: "a|^/dev/sd|" or "r|^/dev/nbd|"',
                    ),
            )
            .optional()
            .describe(
                "Which devices LVM may look at, as its own `devices/filter`; an empty list: what the host's lvm.conf says. Default: all but DRBD, NBD, RBD and ZFS devices and disks attached over iSCSI. Logical volumes are never looked into.",
            ),
    })
    .superRefine((options, context) => {
        const refuse = (path: string, message: string) =>
            context.addIssue({ code: "custom", path: [path], message });
        const { thinPool, raid, stripes } = options;
        if (thinPool !== undefined) {
            for (const thick of ["raid", "stripes", "snapshotPercent", "snapshotWarnPercent"] as const) {
                if (options[thick] !== undefined)
                    refuse(thick, "is for thick volumes; a thin pool has its own layout");
            }
        } else {
            for (const thin of ["maxDataPercent", "maxMetadataPercent"] as const) {
                if (options[thin] !== undefined) refuse(thin, "is for pools with a `thinPool`");
            }
        }
        if (raid === "raid1" && stripes !== undefined) refuse("stripes", "goes with `raid10`, not `raid1`");
    });

export type LvmOptions = z.infer<typeof lvmOptions>;

export function isThin(options: LvmOptions): boolean {
    return options.thinPool !== undefined;
}

/** How often each byte of a thick volume is kept. */
export function copies(options: LvmOptions): number {
    return options.raid === undefined ? 1 : 2;
}

/** Extents of a thick volume are a multiple of this. */
export function stripesOf(options: LvmOptions): number {
    return options.raid === "raid10" ? (options.stripes ?? 2) : (options.stripes ?? 1);
}

/** Percent. */
export const DEFAULTS = { snapshot: 100, snapshotWarn: 80, data: 95, metadata: 80 } as const;
