/** Looks at a tgtd beside the provider, by its own tool: shell text, run where it is. */
export function tgtd(controlPort = 0) {
    const tgtadm = (args: string) => `tgtadm -C ${String(controlPort)} --lld iscsi ${args}`;
    const show = tgtadm("--mode target --op show");
    const shown = (program: string) =>
        `shown=$(${show}) || exit\nprintf '%s\\n' "$shown" | sed -n '${program}'`;
    return {
        /** Prints the names of all targets. */
        targets: shown("s/^Target [0-9]*: //p"),
        /** Takes a target away. */
        drop: (name: string) =>
            `tid=$(${shown(`s/^Target \\([0-9]*\\): ${name}$/\\1/p`)}) &&
${tgtadm('--mode target --op delete --force --tid "$tid"')}`,
        /** Prints everything that it has. */
        listing: `${show} | sed 's/^/tgtd /'
${tgtadm("--mode account --op show")} | sed 's/^/tgtd account /'`,
    };
}

/** A line of an inventory without what is new with each making of an object. */
export function withoutIdentity(line: string): string {
    return line
        .replace(/^tgtd Target \d+:/, "tgtd Target:")
        .replace(/(tgtd +SCSI (?:ID|SN):).*/, "$1")
        .replace(/\b[0-9a-f]{16}\b/g, "GENERATION")
        .replace(/(iqn\.2010-10\.org\.blockhost:[^:\s]+:)[0-9a-f]+/, "$1ID");
}
