import type { Step } from "../../../host/plan";
import { type Sh, sh } from "../../../sh";
import type { WantedPool } from "../../poolMaker";
import { type Context, type GroupFacts, type VolumeFacts, containerOf, thinPoolOf } from "./facts";
import { type AutoExtend, NEVER, profileName, profileText, writeProfile } from "./profile";
import { DEFAULT_AUTO_EXTEND } from "./sizes";
import { lvm, lvmProcess, step } from "./steps";

/** The guard rails of a thin pool (F31), and that it is up at all: what is declared, what differs, and how it is mended. */

interface Rail {
    /** What is wrong, as a sentence. */
    readonly says: string;
    readonly steps: readonly Step[];
}

/** `undefined`: an adopted pool of which nothing is declared; it keeps what it has. */
export function wantedProfile(want: WantedPool): AutoExtend | undefined {
    const { autoExtend = want.adopted ? undefined : DEFAULT_AUTO_EXTEND } = want;
    return autoExtend === false ? NEVER : autoExtend;
}

export function brokenRails(context: Context, want: WantedPool): Rail[] {
    const { group } = containerOf(context.facts);
    const pool = thinPoolOf(context);
    if (group === undefined || pool === undefined) return [];
    return [
        ...activation(context, group, pool, want),
        ...monitoring(context, group, pool, want),
        ...autoExtension(context, group, pool, want),
        ...whenFull(context, group, pool, want),
    ];
}

export function mendGuardRails(context: Context, _group: GroupFacts, want: WantedPool): Step[] {
    return brokenRails(context, want).flatMap(({ steps }) => steps);
}

/** Comes first: an inactive pool is not monitored, nor can it be. An adopted one stays as it is. */
function activation(context: Context, group: GroupFacts, pool: VolumeFacts, want: WantedPool): Rail[] {
    if (pool.active || want.adopted) return [];
    const name = `${group.name}/${pool.name}`;
    return [
        {
            says: `thin pool "${name}" is not active`,
            steps: [{ label: `activate "${name}"`, script: activate(context, group, pool) }],
        },
    ];
}

/**
 * LVM (2.03.16) cannot activate a thin pool whose parts were being moved when the power failed: it reads the pool's
 * metadata through a mirror that it has not resumed yet. It does activate a part by itself, with the mirror; then what
 * was being moved can be given up (what has moved stays moved), and the pool comes up.
 */
function activate(context: Context, group: GroupFacts, pool: VolumeFacts): Sh {
    const { options } = context.pool;
    const name = `${group.name}/${pool.name}`;
    const data = `${name}_tdata`;
    const metadata = `${name}_tmeta`;
    const up = lvm(options, "lvchange", "-q", "-ay", "-K", name);
    const moves = ["-S", 'lv_name=~"^pvmove"', group.name];
    return sh`bh_said=$(${up} 2>&1) && exit
bh_v=$(${lvm(options, "lvs", "-a", "--noheadings", "-o", "move_pv", ...moves)}) || exit
[ -n "$bh_v" ] || { printf '%s\\n' "$bh_said" >&2; exit 5; }
${lvm(options, "lvchange", "-q", "-an", name, data, metadata)} &&
${lvm(options, "lvchange", "-q", "-y", "-ay", metadata)} || exit
for bh_d in $bh_v; do ${lvmProcess(options, ["pvmove", "-q", "--abort"], ' "$bh_d"')} || exit; done
${lvm(options, "lvchange", "-q", "-an", metadata, data)} && ${up}`;
}

function monitoring(context: Context, group: GroupFacts, pool: VolumeFacts, want: WantedPool): Rail[] {
    const wanted = want.monitoring ?? (want.adopted ? undefined : true);
    if (wanted === undefined || wanted === pool.monitored) return [];
    const name = `${group.name}/${pool.name}`;
    return [
        {
            says: wanted
                ? `thin pool "${name}" is not monitored by dmeventd`
                : `thin pool "${name}" is monitored by dmeventd`,
            steps: [
                step(
                    context,
                    `${wanted ? "monitor" : "stop monitoring"} "${name}"`,
                    "lvchange",
                    "-q",
                    "--monitor",
                    wanted ? "y" : "n",
                    name,
                ),
            ],
        },
    ];
}

function autoExtension(context: Context, group: GroupFacts, pool: VolumeFacts, want: WantedPool): Rail[] {
    const wanted = wantedProfile(want);
    if (wanted === undefined) return [];
    const name = `${group.name}/${pool.name}`;
    const profile = profileName(wanted);
    const rails: Rail[] = [];
    if (containerOf(context.facts).profiles.get(profile) !== profileText(wanted)) {
        rails.push({
            says: `the profile ${profile} is missing on the host, or was changed`,
            steps: [{ label: "write the profile of automatic extension", script: writeProfile(wanted) }],
        });
    }
    if (pool.profile !== profile) {
        rails.push({
            says: `thin pool "${name}" goes by profile ${pool.profile === "" ? "none" : pool.profile} in place of ${profile}`,
            steps: [
                step(
                    context,
                    `set how far "${name}" extends itself`,
                    "lvchange",
                    "-q",
                    "--metadataprofile",
                    profile,
                    name,
                ),
            ],
        });
    }
    return rails;
}

function whenFull(context: Context, group: GroupFacts, pool: VolumeFacts, want: WantedPool): Rail[] {
    const wanted = want.whenFull ?? (want.adopted ? undefined : DEFAULT_WHEN_FULL);
    if (wanted === undefined || wanted === pool.whenFull) return [];
    const name = `${group.name}/${pool.name}`;
    const does = (what: string) => (what === "error" ? "gives an error" : "lets writes wait");
    return [
        {
            says: `thin pool "${name}" ${does(pool.whenFull)} when it is full, where it should be that it ${does(wanted)}`,
            steps: [
                step(
                    context,
                    `set what "${name}" does when it is full`,
                    ...["lvchange", "-q", "--errorwhenfull", wanted === "error" ? "y" : "n", name],
                ),
            ],
        },
    ];
}

/** LVM's own: writes wait for a minute (dm-thin's no_space_timeout) for dmeventd to extend the pool, then fail. */
const DEFAULT_WHEN_FULL = "queue";
