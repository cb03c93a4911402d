import { asWord, hasContent, raw, type Sh, sh, writeOut } from "../sh";
import { GUARD_FAILED, NOTHING, type Plan, type Step } from "../host/plan";
import { stateDirectoryKey } from "../host/runDirectory";
import { guardBootFile, placeOf } from "./boot";
import { SHUTDOWN_SCRIPT, shutdownUnit } from "./shutdownUnit";
import type { ExportFacts, TargetContext, TargetFacts } from "./types";
import {
    systemdWord,
    TARGET_SERVICES,
    UNIT_DIRECTORY,
    UPTIME,
    wantedAtBoot,
    whereSystemdRuns,
} from "./systemd";

/**
 * The systemd unit that runs all boot files when the host, or what is behind them, starts. There is one for each state
 * directory; it is installed with the first export, where systemd runs the host and we are root, and goes with the last.
 *
 * It comes after whatever clears a target as it starts: `targetctl restore` (rtslib-fb-targetctl.service on Debian,
 * target.service elsewhere) and `nvmetcli restore` (nvmet.service) take away all that there is, so that what we had made
 * before would go, with its sessions. `PartOf=` and `WantedBy=` carry a restart of these and of tgtd over to it,
 * `ReloadPropagatedFrom=` a reload of tgtd, which takes away every target that is not in /etc/tgt and has no session
 * (tgt-admin --update ALL).
 *
 * There is nothing to order it after so that devices are there: LVM activates them as their disks appear, and those with
 * the activation-skip flag never. So it activates what its own exports need, and no more, and tries again.
 */

const DEFAULT_STATE_DIRECTORY = "/var/lib/blockhost";
/** First line of the unit; a later version writes another, and so replaces it. */
export const UNIT_HEADER = "# pulumi-blockhost: exports, format 9";

/** A unit that makes things at boot; `none`: systemd does not run the host, or we are not root. */
export type BootUnitState = "installed" | "missing" | "none";

/** @param said the word that an observation printed, if any */
export function bootUnitState(said: string | undefined): BootUnitState {
    return said === "installed" || said === "missing" ? said : "none";
}

/** What a refresh says of an export whose host lacks the unit, or has the one of a former version. */
const NO_BOOT_UNIT = "unit: what makes it anew at boot, and flushes it at shutdown, is not installed";

/** `blockhost-exports.service`, with a suffix for a state directory that is not the default. */
export function bootUnitName(stateDirectory: string): string {
    if (stateDirectory === DEFAULT_STATE_DIRECTORY) return "blockhost-exports.service";
    return `blockhost-exports-${stateDirectoryKey(stateDirectory)}.service`;
}

/**
 * What tells an observation that the unit is installed: the file, with {@link UNIT_HEADER}, the link that enables it, and
 * whatever else has to be there, as it is not where the state directory was lost.
 */
export function bootUnitFiles(stateDirectory: string): {
    readonly file: string;
    readonly link: string;
    readonly others: readonly string[];
} {
    const name = bootUnitName(stateDirectory);
    return {
        file: `${UNIT_DIRECTORY}/${name}`,
        link: wantedAtBoot(name),
        others: [
            `${UNIT_DIRECTORY}/${shutdownUnitName(stateDirectory)}`,
            ...SCRIPTS.map((script) => `${stateDirectory}/${script}`),
        ],
    };
}

/** What the units run, in the state directory. */
const SCRIPTS = ["boot-exports", "shutdown-exports"] as const;

/** `blockhost-shutdown.service`, which the other one wants. */
export function shutdownUnitName(stateDirectory: string): string {
    return bootUnitName(stateDirectory).replace("-exports", "-shutdown");
}

/** Text of the unit. */
export function bootUnit(stateDirectory: string): string {
    const run = `/bin/sh ${systemdWord(`${stateDirectory}/boot-exports`)}`;
    return `${UNIT_HEADER}
[Unit]
Description=Exports of pulumi-blockhost
After=local-fs.target remote-fs.target network.target network-online.target
After=lvm2-monitor.service blk-availability.service sys-kernel-config.mount ${shutdownUnitName(stateDirectory)}
Wants=${shutdownUnitName(stateDirectory)}
After=${TARGET_SERVICES}
PartOf=${TARGET_SERVICES}
ReloadPropagatedFrom=tgt.service
RequiresMountsFor=${systemdWord(stateDirectory)}

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=15min
ExecStart=${run}
ExecReload=${run}

[Install]
WantedBy=multi-user.target ${TARGET_SERVICES}
`;
}

/**
 * Activates devices that are missing, those of the same kind with one command, and runs every boot file, but of exports
 * that are closed. What fails, since a device, an address or a daemon comes late, is tried again for three minutes; what
 * hangs, as on a disk that does not answer, is given up after one, so that the others come up.
 *
 * A port of nvmet's listens from its first subsystem on, and hosts (Linux 6.10 and later) that hear of no such subsystem
 * there give up for good. So boot files only write down which are to be on which port, and then a port gets all at once.
 */
export const BOOT_SCRIPT = `#!/bin/sh
# pulumi-blockhost: makes all exports anew after a start of the host or of what is behind them.
dir=\${0%/*}
exec 9>>"$dir/lock"
missing() {
    grep -hs -e '^#bh activate ' -e '^#bh device ' "$dir"/exports/*/* | while IFS= read -r line; do
        case $line in
            '#bh activate '*) activate=\${line#'#bh activate '} ;;
            *) [ -z "$activate" ] || [ -e "\${line#'#bh device '}" ] || printf '%s\\n' "$activate"
                activate= ;;
        esac
    done | sort -u
}
links=$dir/links.new
link() {
    [ -s "$links" ] || return 0
    cd /sys/kernel/config/nvmet || return
    wrong=
    for port in ports/*; do
        set --
        while read -r p subsystem; do
            [ "$p" != "$port" ] || set -- "$@" "$PWD/$subsystem"
        done < "$links"
        [ $# = 0 ] || ln -s -- "$@" "$port/subsystems/" || wrong=1
    done
    [ -z "$wrong" ]
}
activate() {
    last= objects=
    while IFS='	' read -r command object; do
        if [ "$command" != "$last" ]; then
            [ -z "$last" ] || eval "timeout -k 10 60 $last $objects" </dev/null
            last=$command objects=
        fi
        objects="$objects $object"
    done
    [ -z "$last" ] || { eval "timeout -k 10 60 $last $objects" </dev/null; udevadm settle -t 30 2>/dev/null; }
}
${UPTIME}
now
end=$((now + 180))
while :; do
    flock -w 600 9 || exit 1
    missing 9>&- | activate 9>&-
    failed= closed=
    rm -f "$links"
    for file in "$dir"/exports/*/*; do
        [ -f "$file" ] || continue
        v=
        { read -r v && read -r v && read -r v && IFS= read -r v; } < "$file"
        case $v in '#bh applied '[cC]) closed="$closed \${file##*/}"; continue ;; esac
        BLOCKHOST_LINKS=$links timeout -k 10 60 sh "$file" 9>&- </dev/null || failed="$failed \${file##*/}"
    done
    ( link ) 9>&- </dev/null || failed="$failed (NVMe/TCP)"
    rm -f "$links"
    flock -u 9
    [ -n "$failed" ] || break
    now
    [ "$now" -lt "$end" ] || { echo "not exported:$failed" >&2; exit 1; }
    sleep 5
done
[ -z "$closed" ] || echo "left closed, since their volumes are going back to snapshots:$closed" >&2`;

/**
 * Installs and enables the unit, and the one for the shutdown, which has to be started to be stopped; does nothing where
 * systemd does not run the host. Enabling makes systemd read its units anew, which takes long enough to be done once. All
 * of it is flushed: an empty unit after a power cut would export nothing, and would be nobody's.
 */
function installBootUnit(stateDirectory: string): Step {
    const [boot, shutdown] = [bootUnitName(stateDirectory), shutdownUnitName(stateDirectory)];
    const write = (text: Sh, file: string) =>
        sh`${writeOut(text, sh`${`${file}.new`}`)} && mv ${`${file}.new`} ${file}`;
    const script = (text: string, name: string) =>
        write(sh`printf '%s\\n' ${asWord(raw(text))}`, `${stateDirectory}/${name}`);
    const unit = (text: string, name: string) =>
        write(sh`printf '%s' ${asWord(raw(text))}`, `${UNIT_DIRECTORY}/${name}`);
    return {
        label: "have exports made anew at boot, and flushed at shutdown",
        script: sh`${whereSystemdRuns}
dir=${stateDirectory}
[ -d "$dir" ] || mkdir -p -m 0700 "$dir" || exit
${script(BOOT_SCRIPT, "boot-exports")} &&
${script(SHUTDOWN_SCRIPT, "shutdown-exports")} &&
${unit(shutdownUnit(UNIT_HEADER, stateDirectory), shutdown)} &&
systemctl --quiet --no-block start ${shutdown} &&
${unit(bootUnit(stateDirectory), boot)} &&
systemctl --quiet enable ${boot} && sync -f "$dir" ${UNIT_DIRECTORY}`,
    };
}

/**
 * What the plan of an export does about the unit: the first of a run installs it where it is missing. The others see that
 * it is there, to observe and plan again where it is not: whoever has removed what was the last export since has taken
 * it away.
 */
export function bootUnitFor({
    target: { stateDirectory },
    facts: { bootUnit: seen = "none" },
    host: { reserved },
}: TargetContext): { reserved: string; guard: Sh | undefined; steps: readonly Step[] } {
    const name = `targets/boot-unit/${stateDirectory}`;
    const install = seen === "missing" && !reserved.has(name);
    return {
        reserved: name,
        guard: seen === "none" || install ? undefined : requireBootUnit(stateDirectory),
        steps: install ? [installBootUnit(stateDirectory)] : [],
    };
}

/** The plan of an export that is as declared: just the unit, where that is missing, by the first of a run. */
export function onlyBootUnit(context: TargetContext, name: string): Plan {
    const { target, facts } = context;
    if (facts.bootUnit !== "missing") return NOTHING;
    const { reserved, guard, steps } = bootUnitFor(context);
    return {
        steps: [guardBootFile(placeOf(target, name), facts.exports.get(name), guard), ...steps],
        touched: { targets: { [target.protocol]: [name] } },
        reserved: [reserved],
    };
}

/** In what an export is not as declared, with what it shares with all of the host. */
export function differencesOf({ bootUnit }: TargetFacts, { differences }: ExportFacts): readonly string[] {
    return bootUnit === "missing" ? [...differences, NO_BOOT_UNIT] : differences;
}

function requireBootUnit(stateDirectory: string): Sh {
    const { file, others } = bootUnitFiles(stateDirectory);
    return sh`for file in ${[file, ...others]}; do
    [ -e "$file" ] || { echo "what makes exports at boot is gone: $file" >&2; exit ${GUARD_FAILED}; }
done`;
}

/**
 * Takes the unit away unless there is another boot file than the one that is about to go. It goes before that: a run cut
 * short between them is asked for the same again only as long as there is a boot file.
 *
 * @param last that boot file
 */
export function removeBootUnit({ target, facts }: TargetContext, last: string): Sh {
    const { stateDirectory } = target;
    if ((facts.bootUnit ?? "none") === "none") return raw("");
    const [boot, shutdown] = [bootUnitName(stateDirectory), shutdownUnitName(stateDirectory)];
    const bootFile = `${UNIT_DIRECTORY}/${boot}`;
    // A making that was cut short has left some of them, perhaps.
    const files = [
        ...[bootFile, `${UNIT_DIRECTORY}/${shutdown}`].flatMap((file) => [file, `${file}.new`]),
        ...SCRIPTS.map((name) => `${stateDirectory}/${name}`),
    ];
    // Disabled first, since that is what an observation goes by.
    return sh`dir=${stateDirectory} other= left=
for file in "$dir"/exports/*/*; do
    [ ! -s "$file" ] || [ "$file" = ${last} ] || ! ${hasContent(raw('"$file"'))} || { other=$file; break; }
done
for file in ${files}; do [ ! -e "$file" ] || left=yes; done
[ -n "$other" ] || [ -z "$left" ] || (
${whereSystemdRuns}
[ ! -e ${bootFile} ] || systemctl --quiet --no-reload disable ${boot} || exit
systemctl --quiet --no-block stop ${boot} ${shutdown} 2>/dev/null
rm -f ${files} && systemctl daemon-reload
) || exit`;
}
