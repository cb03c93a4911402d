import * as z from "zod";
import { targetPrefixProblem } from "../iqn";

/** What may be configured for tgt beside `helper` and `portals`. */
export const tgtOptions = z.strictObject({
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
    controlPort: z
        .int()
        .min(0)
        .max(32_767)
        .default(0)
        .describe(
            "Control port of the tgtd to use (`tgtd -C`, `tgtadm -C`): its socket is /var/run/tgtd/socket.<port>.",
        ),
});

export type TgtOptions = z.output<typeof tgtOptions>;
