import { GUARD_FAILED, type Plan, type Step } from "../../../host/plan";
import { type Mark, encodeMark } from "../../../host/mark";
import { Sh, quote, sh } from "../../../sh";
import type { LvmOptions } from "../options";
import { argument, settingsOf } from "../settings";
import { recordsOf } from "./observe";
import { type Context, type GroupFacts, type MemberFacts, containerOf } from "./facts";

/** The steps that several operations are made of. */

/** Milliseconds: clearing the metadata of a large thin pool takes minutes on a slow disk. */
const TIMEOUT = 900_000;

/** A command of LVM, in a process of its own, tried again after a crash (exit status 139 happens: LP 1901783). */
export function lvm(options: LvmOptions, ...words: readonly string[]): Sh {
    return lvmProcess(options, words, "");
}

/** @param more shell text of further arguments */
export function lvmProcess(options: LvmOptions, words: readonly string[], more: string): Sh {
    const args = words.map((word) => quote(argument(word))).join(" ");
    const command = `LC_ALL=C LVM_SUPPRESS_FD_WARNINGS=1 lvm ${args}${more} --config ${quote(settingsOf(options))} 6>&- 7>&-`;
    const text = `{ n=0; while :; do ${command}; r=$?; [ $r = 139 ] && [ $n -lt 3 ] || break; n=$((n + 1)); sleep 0.2; done; (exit $r); }`;
    return new Sh(text, `lvm ${args}${more}`);
}

export function step(context: Context, label: string, ...words: readonly string[]): Step {
    return { label, script: lvm(context.pool.options, ...words) };
}

/** A command on physical volumes, by whatever device each has just now; they come last. */
export function onMembers(
    context: Context,
    label: string,
    members: readonly MemberFacts[],
    ...words: readonly string[]
): Step {
    const { options } = context.pool;
    const any = members.map(({ uuid }) => `pv_uuid="${uuid}"`).join("||");
    const script = sh`bh_v=$(${lvm(options, "pvs", "--noheadings", "-o", "pv_name", "-S", any)}) || exit
set -- $bh_v
[ $# = ${members.length} ] || { echo "not all physical volumes are there" >&2; exit ${GUARD_FAILED}; }
${lvmProcess(options, words, ' "$@"')}`;
    const shown = [...words, ...members.map(({ device }) => device)].map(quote).join(" ");
    return { label, script: new Sh(script.text, `lvm ${shown}`) };
}

/** The group under the lock is the one that was read, with the mark that was read. */
export function guard(context: Context): Step {
    const { group } = containerOf(context.facts);
    const { facts } = context;
    const identity = group === undefined ? "" : `vg_uuid="${group.uuid}"`;
    const marked = facts.mark === undefined ? "" : `&&vg_tags={"${encodeMark(facts.mark)}"}`;
    const ask = lvm(
        context.pool.options,
        "vgs",
        "--noheadings",
        "-o",
        "vg_uuid",
        "-S",
        `${identity}${marked}`,
    );
    return {
        label: "check that it is still the same volume group",
        script: sh`bh_v=$(${ask}) || exit
[ -n "$bh_v" ] || { echo "the volume group is not what it was" >&2; exit ${GUARD_FAILED}; }`,
        guard: true,
    };
}

/** Exchanges the mark in one commit of LVM. */
export function mark(context: Context, group: GroupFacts, to: Mark): Step {
    const from = context.facts.mark;
    const add = ["--addtag", encodeMark(to)];
    const del = from === undefined ? [] : ["--deltag", encodeMark(from)];
    return step(context, `mark volume group "${group.name}"`, "vgchange", ...del, ...add, group.name);
}

/** The driver remembers on the host which group and thin pool these are, lest others be taken for them. */
export function forget(context: Context): Step {
    return { label: "forget which pool it was", script: sh`rm -f ${recordsOf(context.pool)}` };
}

/** A plan that changes the container: it, its disks and all pools in it are read again. */
export function plan(
    context: Context,
    disks: readonly string[],
    steps: readonly Step[],
    waitFor?: string,
): Plan {
    return {
        steps: steps.length === 0 ? [] : [...steps, flush(context, disks)],
        touched: { containers: { [context.pool.name]: disks } },
        timeout: TIMEOUT,
        ...(waitFor === undefined ? {} : { waitFor }),
    };
}

/**
 * LVM does not have the disks flush what it writes. Without that, when the power fails, one disk may have what is said
 * of another one, which has lost it: a group that lacks the disk that was just added, while data is moved to it.
 */
function flush(context: Context, disks: readonly string[]): Step {
    const members = containerOf(context.facts).group?.members ?? [];
    const all = [...new Set([...disks, ...members.map(({ device }) => device)])];
    return {
        label: "flush the disks",
        script: sh`set --
for bh_d in ${all}; do [ ! -b "$bh_d" ] || set -- "$@" "$bh_d"; done
[ $# = 0 ] || sync -- "$@"`,
    };
}
