import type { Explanation } from "../../host/plan";

/** What LVM's words mean, where there is more to say than that it failed. */
const KNOWN: readonly (Explanation & { readonly says: RegExp })[] = [
    {
        says: /\bin use\b|is used by another device|contains a filesystem|open logical volume|still open/i,
        code: "in-use",
        summary: "it is in use on the host",
        hint: "stop what uses it (unmount it, detach it from its clients), then run the same again",
    },
    {
        says: /insufficient (free space|suitable)|not enough free|allocatable extents|reached threshold|No space left/i,
        code: "no-space",
        summary: "the volume group or its thin pool has no room for it",
        hint: "ask for less, delete volumes or snapshots, or add a disk; a striped or mirrored volume needs room on several disks",
    },
    {
        says: /target\(s\) not detected|support is missing|target support missing|Can't process LV/i,
        code: "unsupported",
        summary: "the host's kernel lacks a module of device mapper",
        hint: "load it there (`modprobe dm_thin_pool`, `dm_snapshot`, `dm_raid`), or use a kernel that has it",
    },
    {
        says: /thin_check.*(execvp|failed)|Check of pool .* failed/i,
        code: "command-failed",
        summary: "the metadata of the thin pool could not be checked",
        hint: "install thin-provisioning-tools there; if the check itself failed, `lvconvert --repair` the pool",
    },
    {
        says: /transaction[_ ]id/i,
        code: "command-failed",
        summary: "LVM and the kernel do not agree on what is in the thin pool",
        hint: "something was done to the pool behind LVM's back; deactivate it and `lvconvert --repair` it, see lvmthin(7)",
    },
];

export function explain(said: string): Explanation | undefined {
    const known = KNOWN.find(({ says }) => says.test(said));
    return known === undefined ? undefined : { code: known.code, summary: known.summary, hint: known.hint };
}
