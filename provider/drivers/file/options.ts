import * as z from "zod";

/** Options of a `file` pool, beside those that all pools have. */
export const fileOptions = z.strictObject({
    directory: z
        .string()
        .refine((path) => directoryProblem(path) === undefined, {
            error: (issue) => directoryProblem(String(issue.input)) ?? "is not a usable path",
        })
        .describe(
            "Absolute path of the directory that holds the pool; best a file system of its own. A symbolic link is followed: device paths name the directory that it leads to.",
        ),
    provisioning: z
        .enum(["thin", "thick"])
        .meta({
            values: {
                thin: "Sparse files: space is taken as it is written, and may be over-subscribed.",
                thick: "All space is taken at creation.",
            },
        })
        .default("thin")
        .describe(
            "`thin`: sparse files, which take space as they are written and may be over-subscribed. `thick`: all space is taken at creation.",
        ),
    initialize: z
        .boolean()
        .default(false)
        .describe(
            "Make a pool of the directory if it exists, is empty and never was a pool of this host. Otherwise a directory without a pool's identity is an error.",
        ),
});

export type FileOptions = z.infer<typeof fileOptions>;

/** Why a text cannot be a pool's directory; `undefined`: it can. */
export function directoryProblem(path: string): string | undefined {
    if (!path.startsWith("/")) return 'must be an absolute path, such as "/srv/blockhost"';
    // One spelling for one directory: what the host remembers about a pool is filed under it.
    if (path === "/" || path.endsWith("/")) return "must name a directory, without a slash at its end";
    if (/\/\/|\/\.{1,2}(\/|$)/.test(path)) return 'must be written without "//", "." and ".."';
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    if (/[\0-\x1f\x7f]/.test(path)) return "must not hold control characters";
    if (Buffer.byteLength(path) > 1024) return "must not be longer than 1024 bytes";
    return undefined;
}
