import { hasContent, raw, type Sh, sh } from "../sh";
import type { Step } from "./plan";

/** What we keep on a host beside the data, and how it goes. */

/** Everything that is ever made in a state directory; what else is there is somebody else's, and keeps it. */
const OURS = [
    "attachments",
    "boot-attachments",
    "boot-exports",
    "epoch",
    "epoch.made",
    "exports",
    "flushed",
    "lock",
    "pools",
    "shutdown-exports",
    "units",
] as const;

/**
 * Removes the state directory, unless something else is in it. It must be the last step of a run, which holds the lock
 * in there.
 *
 * @param force also where boot files, which say what is exported, or long work are there
 */
export function removeStateDirectory(stateDirectory: string, force: boolean): Step {
    const guard = force
        ? sh`:`
        : sh`for bh_f in "$dir"/exports/*/*; do
    [ ! -e "$bh_f" ] || ! ${hasContent(raw('"$bh_f"'))} || { echo "there is an export: $bh_f" >&2; exit 76; }
done
for bh_f in "$dir"/attachments/*; do [ ! -e "$bh_f" ] || { echo "there is an attachment: $bh_f" >&2; exit 76; }; done
for bh_f in "$dir"/units/*/lock; do
    [ ! -e "$bh_f" ] || flock -s -n "$bh_f" true || { echo "long work is under way: $bh_f" >&2; exit 76; }
done`;
    return {
        label: `remove ${stateDirectory}`,
        script: sh`dir=${stateDirectory}
[ -d "$dir" ] || exit 0
${guard}
for bh_f in ${OURS.map(String)}; do rm -rf -- "$dir/$bh_f" "$dir/$bh_f.new" || exit; done
rm -f -- "$dir/lvm.in" "$dir/lvm.out"
rmdir -- "$dir" 2>/dev/null || { echo "left in place, for what is in it is not ours:" >&2; ls -A "$dir" >&2; exit 1; }`,
    };
}

/** Takes away a systemd unit that makes exports or attachments at boot, or flushes at shutdown. */
export function removeUnitFile(file: string): Step {
    const name = file.slice(file.lastIndexOf("/") + 1);
    return {
        label: `remove ${file}`,
        script: sh`rm -f ${`${file}.new`}
[ -e ${file} ] || exit 0
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then
    systemctl --quiet --no-block stop ${name}
    systemctl --quiet disable ${name} || exit
fi
rm -f ${file} || exit
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then systemctl daemon-reload; fi`,
    };
}

/** Lists what there is: a line each, `file <path>`. Changes nothing. */
export function observeInstalled(stateDirectory: string, files: Sh): Sh {
    return sh`for bh_f in ${stateDirectory} ${files}; do if [ -e "$bh_f" ]; then echo "file $bh_f"; fi; done
for bh_f in ${stateDirectory}/* ${stateDirectory}/.[!.]*; do
    [ -e "$bh_f" ] || continue
    case \${bh_f##*/} in
    ${OURS_PATTERN} | *.new | lvm.in | lvm.out) ;;
    *) echo "foreign $bh_f" ;;
    esac
done`;
}

const OURS_PATTERN: Sh = sh`attachments | boot-attachments | boot-exports | epoch | epoch.made | exports | flushed | lock | pools | shutdown-exports | units`;
