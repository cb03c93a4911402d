import * as z from "zod";
import { subsystemPrefixProblem } from "../nqn";

/** What may be configured for nvmet beside `helper` and `portals`. */
export const nvmetOptions = z.strictObject({
    prefix: z
        .string()
        .superRefine((value, context) => {
            const problem = subsystemPrefixProblem(value);
            if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
        })
        .default("nqn.2010-10.org.blockhost:")
        .describe("Beginning of subsystem names. A change counts for exports made afterwards."),
    dhGroup: z
        .enum(["null", "ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"])
        .meta({
            values: {
                null: "The keys alone.",
                ffdhe2048: "Group of 2,048 bits.",
                ffdhe3072: "Group of 3,072 bits.",
                ffdhe4096: "Group of 4,096 bits.",
                ffdhe6144: "Group of 6,144 bits.",
                ffdhe8192: "Group of 8,192 bits.",
            },
        })
        .default("null")
        .describe(
            "Diffie-Hellman group of in-band authentication; `null`: none, the keys alone. A host's keys and group count for all exports to it.",
        ),
});

export type NvmetOptions = z.output<typeof nvmetOptions>;
