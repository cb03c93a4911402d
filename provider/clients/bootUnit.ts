import type { Step } from "../host/plan";
import { bootUnitName } from "../targets/bootUnit";
import {
    systemdWord,
    TARGET_SERVICES,
    UNIT_DIRECTORY,
    UPTIME,
    wantedAtBoot,
    whereSystemdRuns,
} from "../targets/systemd";
import { asWord, raw, type Sh, sh, writeOut } from "../sh";

/**
 * The systemd unit that attaches everything anew when the host starts, as the one of exports does. It comes after
 * open-iscsi's own, which logs in to what its records say by itself, and before remote file systems are mounted; and
 * after what may serve this host itself, so that it ends before that does, with the file systems before it. What
 * cannot be attached, since the storage host is down, is tried again every ten seconds, for as long as that takes, but
 * by a systemd that is older than that (244: `Restart=` of `Type=oneshot`).
 *
 * open-iscsi gives a portal that does not answer up after half a minute. The boot does not wait for all of that: a trial
 * ends after ten minutes, and each begins elsewhere, so that those that come last are tried, too. The lock is held for one
 * at a time, since else updates of the client would find it busy for as long as a storage host is off. What is on portals
 * where one has failed before, and taken its time, is tried after all others: a storage host that is off holds these up by
 * one, not by all.
 */

/** First line of the unit; a later version writes another, and so replaces it. */
const UNIT_HEADER = "# pulumi-blockhost: attachments, format 6";

export function attachmentUnitName(stateDirectory: string): string {
    return bootUnitName(stateDirectory).replace("-exports", "-attachments");
}

function unitFile(stateDirectory: string): string {
    return `${UNIT_DIRECTORY}/${attachmentUnitName(stateDirectory)}`;
}

/** @param again whether it may say that it is tried again: before systemd 244, such a unit is not loaded. */
export function attachmentUnit(stateDirectory: string, again = true): string {
    return `${UNIT_HEADER}
[Unit]
Description=Attachments of pulumi-blockhost
After=local-fs.target network.target network-online.target
After=${TARGET_SERVICES}
After=iscsid.socket iscsid.service open-iscsi.service iscsi.service multipathd.service
Before=remote-fs-pre.target
Wants=network-online.target remote-fs-pre.target
RequiresMountsFor=${systemdWord(stateDirectory)}
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=20min
${again ? "Restart=on-failure\nRestartSec=10\n" : ""}ExecStart=/bin/sh ${systemdWord(`${stateDirectory}/boot-attachments`)}

[Install]
WantedBy=multi-user.target
`;
}

export const BOOT_SCRIPT = `#!/bin/sh
# pulumi-blockhost: attaches everything anew after a start of the host.
dir=\${0%/*}
exec 9>>"$dir/lock"
failed= down=
${UPTIME}
now
end=$((now + 600))
set -- "$dir"/attachments/*
k=$((now % $#))
while [ $k -gt 0 ]; do k=$((k - 1)) file=$1; shift; set -- "$@" "$file"; done
k=$#
while [ $# -gt 0 ]; do
    k=$((k - 1)) file=$1 at=; shift
    { while IFS= read -r v; do case $v in portals=*) at=$v; break ;; esac; done < "$file"; } 2>/dev/null
    if [ $k -ge 0 ] && [ -n "$at" ]; then
        case $down in *"<$at>"*) set -- "$@" "$file"; continue ;; esac
    fi
    now
    [ "$now" -lt "$end" ] || { failed="$failed (and others)"; break; }
    flock -w 600 9 || exit 1
    now
    began=$now
    if [ -f "$file" ] && ! timeout -k 10 300 sh "$file" 9>&- </dev/null; then
        failed="$failed \${file##*/}"
        now
        [ $((now - began)) -lt 5 ] || down="$down<$at>"
    fi
    flock -u 9
done
[ -z "$failed" ] || { echo "not attached:$failed" >&2; exit 1; }`;

/** Prints `unit installed` or `unit missing`; nothing where systemd does not run the host, or we are not root. */
export function unitInstalled(stateDirectory: string): Sh {
    return sh`if [ -d /run/systemd/system ] && [ -w ${UNIT_DIRECTORY} ]; then
    v=
    [ ! -r ${unitFile(stateDirectory)} ] || read -r v < ${unitFile(stateDirectory)}
    if [ "$v" = ${UNIT_HEADER} ] && [ -e ${wanted(stateDirectory)} ] && [ -e ${`${stateDirectory}/boot-attachments`} ]; then
        echo "unit installed"
    else
        echo "unit missing"
    fi
fi`;
}

/** It is wanted by a link, and not by systemd's own command: that would have it read all units of the host anew. */
export function installUnit(stateDirectory: string): Step {
    const link = wanted(stateDirectory);
    const unit = (again: boolean) => asWord(raw(attachmentUnit(stateDirectory, again)));
    return {
        label: "have attachments made anew at boot",
        script: sh`${whereSystemdRuns}
dir=${stateDirectory} unit=${unitFile(stateDirectory)} text=${unit(true)}
v=$(systemctl --version) || v=
v=\${v#systemd } v=\${v%%[!0-9]*}
[ "\${v:-244}" -ge 244 ] || text=${unit(false)}
${writeOut(sh`printf '%s\\n' ${asWord(raw(BOOT_SCRIPT))}`, raw('"$dir/boot-attachments.new"'))} && mv "$dir/boot-attachments.new" "$dir/boot-attachments" &&
${writeOut(raw(`printf %s "$text"`), raw('"$unit.new"'))} && mv "$unit.new" "$unit" &&
mkdir -p ${link.slice(0, link.lastIndexOf("/"))} && ln -sfn "$unit" ${link} && sync -f "$dir" ${UNIT_DIRECTORY}`,
    };
}

/** Takes the unit away unless there is another boot file than the one that is about to go. It may be trying just now. */
export function removeUnit(stateDirectory: string, last: string): Sh {
    const name = attachmentUnitName(stateDirectory);
    return sh`dir=${stateDirectory}
for file in "$dir"/attachments/*; do [ ! -e "$file" ] || [ "$file" = ${last} ] || exit 0; done
${whereSystemdRuns}
[ -e ${unitFile(stateDirectory)} ] || exit 0
systemctl --quiet --no-block stop ${name} 2>/dev/null
rm -f ${wanted(stateDirectory)} ${unitFile(stateDirectory)} "$dir/boot-attachments"`;
}

function wanted(stateDirectory: string): string {
    return wantedAtBoot(attachmentUnitName(stateDirectory));
}
