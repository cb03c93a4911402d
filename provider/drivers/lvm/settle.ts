import { raw, type Sh, sh } from "../../sh";
import type { PoolRef } from "../types";
import { recordFile } from "./observe";
import type { LvmOptions } from "./options";
import { command } from "./settings";

/** LVM's shell takes 64 words a command. */
const BATCH = 50;

/**
 * What the plans of a run have left to its end:
 *
 *     activate <name>              all together: a third of the time that it takes one by one
 *     drop <name> <uuid> <mark>    remove a snapshot of a thick volume, before
 *     remove <name> <uuid> <mark>  anything else is removed; all together, each only if it is that one with that mark,
 *                                  which LVM looks at under its own lock (and no thick volume that still has snapshots)
 *     remember <identity>          which pool was seen here
 *
 * Where a command for many fails, each is tried alone, so that it can be told which it was. LVM writes its metadata past
 * the page cache, but does not have the disks flush it: without that, what was told as done could be undone when the
 * power fails (in the lab, a volume group that had just been made was gone).
 */
export function settle(pool: PoolRef<LvmOptions>): Sh {
    const { options } = pool;
    const record = recordFile(pool);
    const group = `${options.volumeGroup}/`;
    return sh`failed=0 ill=0 batch='' some='' count=0
activate() { ${command("bh_lvm", options, "lvchange", "-y", "-ay", "-K")} "$@"; }
remove() { ${command("bh_lvm", options, "lvremove", "-y")} -S "$some" "$@"; }
pick() {
    rest=\${1#* }
    name=\${rest%% *}
    rest=\${rest#* }
    only="lv_uuid=\\"\${rest%% *}\\"&&lv_tags={\\"\${rest#* }\\"}&&lv_role!=thickorigin"
}
flush() {
    [ $count = 0 ] || "$1" $batch 2>/dev/null || ill=1
    batch='' some='' count=0
}
all() {
    verb=$1 run=$2
    shift 2
    for work; do
        case $work in "$verb "*) ;; *) continue ;; esac
        pick "$work"
        batch="$batch "${group}$name
        some="\${some:+$some||}($only)"
        count=$((count + 1))
        [ $count -lt ${BATCH} ] || flush "$run"
    done
    flush "$run"
    [ $ill = 1 ] || return 0
    ill=0
    for work; do
        case $work in "$verb "*) ;; *) continue ;; esac
        pick "$work"
        some=$only
        "$run" ${group}"$name" && continue
        # Removed by the command for all.
        case $verb$bh_lvm_said in activate*) ;; *'Failed to find logical volume'*) continue ;; esac
        echo "undone $work"
        failed=1
    done
}
all activate activate "$@"
all drop remove "$@"
all remove remove "$@"
for work; do
    case $work in 'remember '*)
        mkdir -p -m 0700 ${record.slice(0, record.lastIndexOf("/"))} &&
            printf '%s\n' "\${work#remember }" > ${`${record}.new`} && mv ${`${record}.new`} ${record} || exit
        break ;;
    esac
done
${FLUSH}
exit $failed`;
}

/** Flushes the disks of all volume groups that this run knows. */
const FLUSH = raw(`set --
while case $bh_lvm_now in *'"pv_name":"'*) ;; *) false ;; esac; do
    bh_lvm_now=\${bh_lvm_now#*'"pv_name":"'}
    disk=\${bh_lvm_now%%'"'*}
    [ ! -b "$disk" ] || set -- "$@" "$disk"
done
[ $# = 0 ] || sync -- "$@" || failed=1`);
