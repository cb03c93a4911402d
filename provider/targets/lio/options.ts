import * as z from "zod";
import { targetPrefixProblem } from "../iqn";

/** What may be configured for LIO beside `helper` and `portals`. A change of any but the first counts for all exports. */
export const lioOptions = z.strictObject({
    prefix: z
        .string()
        .superRefine((value, context) => {
            const problem = targetPrefixProblem(value);
            if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
        })
        .default("iqn.2010-10.org.blockhost:")
        .describe(
            "Beginning of target names (Cinder's target_prefix). A change counts for exports made afterwards.",
        ),
    writeCache: z
        .boolean()
        .default(true)
        .describe(
            "Whether files are served through the host's page cache, with a write cache that initiators flush (Cinder's iscsi_write_cache). Block devices tell initiators of the cache they have themselves.",
        ),
    blockSize: z
        .union([z.literal(512), z.literal(1024), z.literal(2048), z.literal(4096)])
        .optional()
        .describe(
            "Logical block size in bytes; default: 512 for files, a block device's own. A change counts for exports made afterwards.",
        ),
    queueDepth: z
        .int()
        .min(1)
        .max(512)
        .default(64)
        .describe("Commands that an initiator may have under way at once (cmdsn_depth)."),
});

export type LioOptions = z.output<typeof lioOptions>;
