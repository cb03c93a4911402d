import { createHash } from "node:crypto";
import { asWord, raw, type Sh, sh, writeOut } from "../sh";
import type { Step } from "../host/plan";

/**
 * The systemd unit that runs all boot files when the host or the daemon behind them starts. There is one for each state
 * directory; it is installed with the first export, where systemd runs the host and we are root, and goes with the last.
 *
 * `PartOf=` and `WantedBy=tgt.service` carry a restart of tgtd over to it, `ReloadPropagatedFrom=` a reload, which takes
 * away every target that is not in /etc/tgt and has no session (tgt-admin --update ALL).
 */

const DEFAULT_STATE_DIRECTORY = "/var/lib/blockhost";
/** Where units of the administrator's own go. */
export const UNIT_DIRECTORY = "/etc/systemd/system";
/** First line of the unit; a later version writes another, and so replaces it. */
export const UNIT_HEADER = "# pulumi-blockhost: exports, format 1";

/** `blockhost-exports.service`, with a suffix for a state directory that is not the default. */
export function bootUnitName(stateDirectory: string): string {
    if (stateDirectory === DEFAULT_STATE_DIRECTORY) return "blockhost-exports.service";
    const suffix = createHash("sha256").update(stateDirectory).digest("hex").slice(0, 8);
    return `blockhost-exports-${suffix}.service`;
}

/** Text of the unit. */
export function bootUnit(stateDirectory: string): string {
    const run = `/bin/sh ${systemdWord(`${stateDirectory}/boot-exports`)}`;
    return `${UNIT_HEADER}
[Unit]
Description=Exports of pulumi-blockhost
After=local-fs.target remote-fs.target network.target tgt.service
PartOf=tgt.service
ReloadPropagatedFrom=tgt.service
RequiresMountsFor=${systemdWord(stateDirectory)}

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=15min
ExecStart=${run}
ExecReload=${run}

[Install]
WantedBy=multi-user.target tgt.service
`;
}

/** Runs every boot file; what fails, since a device or daemon comes up late, is tried again for a minute. */
export const BOOT_SCRIPT = `#!/bin/sh
# pulumi-blockhost: makes all exports anew after a start of the host or of the daemon behind them.
dir=\${0%/*}
exec 9>>"$dir/lock"
n=0
while :; do
    flock -w 600 9 || exit 1
    failed=
    for file in "$dir"/exports/*/*; do
        [ -f "$file" ] || continue
        sh "$file" 9>&- </dev/null || failed="$failed \${file##*/}"
    done
    flock -u 9
    [ -n "$failed" ] || exit 0
    n=$((n + 1))
    [ "$n" -lt 12 ] || { echo "not exported:$failed" >&2; exit 1; }
    sleep 5
done`;

/** Installs and enables the unit; does nothing where systemd does not run the host. */
export function installBootUnit(stateDirectory: string): Step {
    const file = `${UNIT_DIRECTORY}/${bootUnitName(stateDirectory)}`;
    return {
        label: "have exports made anew at boot",
        script: sh`${whereSystemdRuns}
dir=${stateDirectory} unit=${file}
[ -d "$dir" ] || mkdir -p -m 0700 "$dir" || exit
${writeOut(sh`printf '%s\\n' ${asWord(raw(BOOT_SCRIPT))}`, raw('"$dir/boot-exports.new"'))} && mv "$dir/boot-exports.new" "$dir/boot-exports" &&
${writeOut(sh`printf '%s' ${asWord(raw(bootUnit(stateDirectory)))}`, raw('"$unit.new"'))} && mv "$unit.new" "$unit" &&
systemctl daemon-reload && systemctl --quiet enable ${bootUnitName(stateDirectory)}`,
    };
}

/** Takes the unit away unless there is still a boot file. */
export function removeBootUnit(stateDirectory: string): Step {
    const name = bootUnitName(stateDirectory);
    return {
        label: "leave nothing to be made at boot",
        script: sh`dir=${stateDirectory}
for file in "$dir"/exports/*/*; do [ ! -e "$file" ] || exit 0; done
${whereSystemdRuns}
systemctl --quiet disable ${name} && rm -f ${`${UNIT_DIRECTORY}/${name}`} "$dir/boot-exports" && systemctl daemon-reload`,
    };
}

const whereSystemdRuns: Sh = raw(`[ -d /run/systemd/system ] && [ "$(id -u)" = 0 ] || exit 0`);

/** A word as unit files take it: quotes, specifiers and variables mean nothing in it. Source: systemd.syntax(7). */
function systemdWord(text: string): string {
    return `"${text
        .replaceAll(/["\\]/g, "\\$&")
        .replaceAll("%", "%%")
        .replaceAll("$", () => "$$")}"`;
}
